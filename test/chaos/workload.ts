import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../support/random.js'
import { ClientLoops } from './client-loops.js'
import { uniqueValue } from './entry-value.js'
import type { Fleet, Member } from './fleet/fleet.js'
import type { SidecarClient, WriteAnswer } from './fleet/sidecar-client.js'
import type { SqlClient, SqlOutcome } from './fleet/sql-client.js'
import type { Denial } from './oracle/denials.js'
import type { OnceWritten } from './oracle/durability.js'
import type { WriteRecord, WrittenValue } from './oracle/history.js'
import type { Counter } from './oracle/increments.js'
import { pairKeys } from './oracle/pairs.js'
import type { Recorder, WriteHandle } from './oracle/recorder.js'

export interface WorkloadParts {
  readonly fleet: Fleet
  readonly sql: SqlClient
  readonly recorder: Recorder
  readonly seed: number
  /** Is a fault under way? */
  readonly isDuringFault: () => boolean
}

/** Pauses in ms between the operations of one client. Without them, the clients would keep both processors busy. */
const pauses = {
  reader: [0, 8],
  strongReader: [10, 40],
  writer: [20, 120],
  sqlWriter: [40, 200],
  sqlReader: [30, 100],
  session: [5, 40],
  once: [100, 400],
  incrementer: [10, 60],
  pairWriter: [10, 100],
  pairReader: [5, 40],
} as const

/** Time to live in ms of the rows that are written with a time of their own. */
const lifetimesMs = [300, 2_500] as const
/** Nothing expires any more so long after the last write. */
export const longestLifetimeMs = lifetimesMs[1]

const clients = {
  reader: 18,
  strongReader: 8,
  writer: 4,
  sqlWriter: 3,
  sqlReader: 1,
  session: 6,
  once: 2,
  incrementer: 4,
  pairWriter: 2,
  pairReader: 2,
}

/**
 * The keys of a run. A third is written several times a second, a third now and then, a third hardly ever: an
 * wrong entry is visible only if no later change removes it. Two have ids that are hashes.
 */
export const keys: readonly string[] = Array.from({ length: 60 }, (_none, index) => {
  const name = `k${String(index).padStart(2, '0')}`
  return index % 30 === 29 ? `${name}${'.'.repeat(600)}` : name
})

/** The counter that clients increment with If-Match. Nothing else writes it. */
export const counterKey = 'counter'

/** Those that are written several times a second. */
export const hotKeys = keys.slice(0, keys.length / 3)

/** A write through a sidecar; null deletes the key. */
interface SidecarWrite {
  readonly key: string
  readonly by: string
  readonly value: WrittenValue
  readonly lifetimeMs?: number | undefined
}

/** Clients that read, write and delete through every sidecar and by SQL; each does one thing at a time. */
export class Workload {
  readonly once: OnceWritten[] = []
  readonly #parts: WorkloadParts
  readonly #random: Random
  readonly #loops: ClientLoops
  #names = 0

  constructor(parts: WorkloadParts) {
    this.#parts = parts
    this.#random = new Random(parts.seed ^ 0x5bd1e995)
    this.#loops = new ClientLoops(this.#random)
  }

  start(): void {
    const turns = {
      reader: (by: string) => this.#read(by, 'default'),
      strongReader: (by: string) => this.#read(by, 'strong'),
      writer: (by: string) => this.#write(by),
      sqlWriter: (by: string) => this.#writeSql(by),
      sqlReader: (by: string) => this.#readSql(by),
      session: (by: string) => this.#session(by),
      once: (by: string) => this.writeOnce(by, this.#member()),
      incrementer: (by: string) => this.#increment(by),
      pairWriter: (by: string) => this.#writePair(by),
      pairReader: () => this.#readPair(),
    }
    for (const [kind, count] of Object.entries(clients) as [keyof typeof clients, number][]) {
      for (let index = 0; index < count; index++) {
        const by = `${kind}-${index}`
        const isReader = kind.toLowerCase().includes('reader')
        this.#loops.start({ pauseMs: pauses[kind], isReader, turn: () => turns[kind](by) })
      }
    }
  }

  /** No write begins any more; reads go on. */
  stopWrites(): void {
    this.#loops.stopWrites()
  }

  /** Resolves when every operation has ended. */
  stop(): Promise<void> {
    return this.#loops.stop()
  }

  /** Keeps a row locked for a while and changes it. */
  async lockRow(holdMs: number, stop: AbortSignal): Promise<void> {
    const key = this.#key('write')
    const value = this.#value('lock')
    const handle = this.#begin(key, value, 'lock', 'sql')
    const outcome = await this.#parts.sql.transaction(new Map([[key, value]]), stop.aborted ? 0 : holdMs)
    this.#parts.recorder.endWrite(handle, outcome(key))
  }

  /** All rows in one statement. */
  updateAll(): Promise<void> {
    const { sql } = this.#parts
    const value = `bulk-${this.#names++}`
    return this.#writeAll('bulk', value, () => sql.updateAll(keys, value)).then(() => undefined)
  }

  /** Fills the table, as the script does that is run on a new database. False if that has failed. */
  fill(sql: SqlClient): Promise<boolean> {
    const value = `fill-${this.#names++}`
    return this.#writeAll('fill', value, async () => {
      const outcome = await sql.upsertAll(keys, value)
      return () => outcome
    })
  }

  /** Rewrites all rows under numbers that have been handed out before. False if that has failed. */
  handOutAgain(isCaughtUp: boolean): Promise<boolean> {
    const { sql } = this.#parts
    const value = `hand-out-${this.#names++}`
    return this.#writeAll('hand-out', value, () => sql.handOutAgain(keys, value, isCaughtUp))
  }

  /** Changes all rows without an announcement. Returns false if that failed. */
  changeSilently(how: 'triggers off' | 'rewrite'): Promise<boolean> {
    const { sql } = this.#parts
    // Text that may stand in a row that is marked as JSON.
    const value = JSON.stringify({ name: `silent-${this.#names++}` })
    const write = how === 'rewrite' ? sql.rewrite : sql.updateWithoutTriggers
    return this.#writeAll(how, value, () => write.call(sql, keys, value))
  }

  /** True unless the statement has failed. */
  async #writeAll(
    by: string,
    value: string,
    write: () => Promise<(key: string) => SqlOutcome>,
  ): Promise<boolean> {
    const handles = keys.map((key) => this.#begin(key, value, by, 'sql'))
    const outcome = await write()
    for (const handle of handles) this.#parts.recorder.endWrite(handle, outcome(handle.record.key))
    return keys.some((key) => outcome(key) !== 'failed')
  }

  async truncate(): Promise<void> {
    const handles = keys.map((key) => this.#begin(key, null, 'truncate', 'sql'))
    const outcome = await this.#parts.sql.truncate()
    for (const handle of handles) this.#parts.recorder.endWrite(handle, outcome)
  }

  async #read(by: string, kind: 'default' | 'strong'): Promise<void> {
    const { recorder, isDuringFault } = this.#parts
    const member = this.#member()
    const { client, sidecar } = member
    const read = recorder.beginRead({ kind, key: this.#key('read'), by, via: sidecar.via })
    const answer = await client.get(read.key, kind === 'strong' ? { consistency: 'strong' } : {})
    recorder.endRead(read, answer, isDuringFault())
    await backOff(answer.kind)
  }

  async #write(by: string): Promise<void> {
    const member = this.#member()
    const key = this.#key('write')
    const value = this.#valueOrDelete(by)
    const lifetimeMs = value !== null && this.#random.chance(0.2) ? this.#lifetimeMs() : undefined
    const answer = await this.#writeThrough(member, { key, by, value, lifetimeMs })
    await backOff(answer.kind)
  }

  async #writeSql(by: string): Promise<void> {
    const { sql, recorder } = this.#parts
    const key = this.#key('write')
    const choice = this.#random.next()
    if (choice > 0.9) {
      const [other, values] = [this.#key('write'), [this.#value(by), this.#value(by)] as const]
      const writes = new Map([[key, values[0]], ...(other === key ? [] : [[other, values[1]] as const])])
      const handles = [...writes].map(([one, value]) => this.#begin(one, value, by, 'sql'))
      const outcome = await sql.transaction(writes, this.#random.between(0, 300))
      for (const handle of handles) recorder.endWrite(handle, outcome(handle.record.key))
      return
    }
    const value = choice < 0.1 ? null : this.#value(by)
    const lifetimeMs = choice > 0.7 ? this.#lifetimeMs() : undefined
    const handle = recorder.beginWrite({ key, value, by, via: 'sql', lifetimeMs })
    let outcome: SqlOutcome
    if (value === null) outcome = await sql.delete(key)
    else if (lifetimeMs !== undefined) outcome = await sql.upsertExpiring(key, value, lifetimeMs)
    else if (choice < 0.5) outcome = await sql.update(key, value)
    else outcome = await sql.upsert(key, value)
    recorder.endWrite(handle, outcome)
    if (outcome === 'failed') await sleep(100)
  }

  async #readSql(by: string): Promise<void> {
    const { sql, recorder, isDuringFault } = this.#parts
    const read = recorder.beginRead({ kind: 'sql', key: this.#key('read'), by, via: 'sql' })
    const value = await sql.read(read.key)
    recorder.endRead(
      read,
      value === undefined
        ? { kind: 'refused' }
        : { kind: 'entry', value, source: 'db', stale: false, status: '' },
      isDuringFault(),
    )
    if (value === undefined) await sleep(100)
  }

  /** Writes at one sidecar, then takes the token around to others. Now and then it writes once more on the way. */
  async #session(by: string): Promise<void> {
    const { recorder, isDuringFault } = this.#parts
    const key = this.#key('write')
    let since: { readonly record: WriteRecord; readonly token: string } | undefined
    for (let step = this.#random.integer(4, 12); step > 0 && !this.#loops.isStopping; step--) {
      const member = this.#member()
      const { client, sidecar } = member
      if (since === undefined || this.#random.chance(0.2)) {
        const value = this.#valueOrDelete(by)
        const { record, kind, token } = await this.#writeThrough(member, { key, by, value })
        if (kind === 'ok' && token !== undefined) since = { record, token }
      } else {
        const read = recorder.beginRead({ kind: 'session', key, by, via: sidecar.via, since: since.record })
        const answer = await client.get(key, { token: since.token })
        recorder.endRead(read, answer, isDuringFault())
        await backOff(answer.kind)
      }
      await sleep(this.#random.between(0, 20))
    }
  }

  /** Writes a key through a sidecar, and tells how that ended. */
  async writeKey(
    by: string,
    member: Member,
    key: string,
  ): Promise<{ readonly kind: WriteAnswer['kind']; readonly denial: Denial | undefined }> {
    return this.#writeThrough(member, { key, by, value: this.#value(by) })
  }

  /** A key of its own, never touched again. */
  async writeOnce(by: string, { client, sidecar }: Member): Promise<WriteAnswer['kind']> {
    const key = `${by}-${this.#names++}`
    const value = `value of ${key}`
    const { via } = sidecar
    const invokeMs = performance.now()
    const answer = await client.set(key, value)
    if (answer.kind === 'wrong') return 'wrong'
    if (answer.why) this.#parts.recorder.refusedWrite(answer.why)
    if (answer.denial) this.#parts.recorder.denied(answer.denial, { key, by, via, invokeMs })
    this.once.push({ key, value, via, invokeMs, returnMs: performance.now(), outcome: answer.kind })
    return answer.kind
  }

  /** Reads the counter at one sidecar, and increments it at another. Begins anew if it is not a counter any more. */
  async #increment(by: string): Promise<void> {
    const { recorder } = this.#parts
    const read = await this.#member().client.getTagged(counterKey)
    // A pending write has no tag. Nobody keeps the counter, so there is none.
    if (read === undefined || (read.text !== null && read.tag === undefined)) return sleep(50)
    const before = counterOf(read.text)
    const to = before ? { ...before, n: before.n + 1 } : { run: `${by}-${this.#names++}`, n: 0 }
    const increment = recorder.increments.begin(to)
    const member = this.#member()
    const answer = await member.client.putIf(counterKey, JSON.stringify(to), read.tag)
    recorder.increments.end(increment, answer.kind === 'wrong' ? 'unknown' : answer.kind)
    if (answer.kind === 'wrong')
      recorder.wrongAnswer({ key: counterKey, by, via: member.sidecar.via }, answer.why)
    await backOff(answer.kind)
  }

  /** Writes both entries of the pair in one transaction. */
  async #writePair(by: string): Promise<void> {
    const value = this.#names++
    const { client, sidecar } = this.#member()
    const answer = await client.putAll(Object.fromEntries(pairKeys.map((key) => [key, value])))
    if (answer.kind === 'wrong')
      this.#parts.recorder.wrongAnswer({ key: pairKeys[0], by, via: sidecar.via }, answer.why)
    await backOff(answer.kind)
  }

  async #readPair(): Promise<void> {
    const values = await this.#member().client.getAll(pairKeys)
    if (values) this.#parts.recorder.pairs.seen(values)
    else await sleep(50)
  }

  async #writeThrough(
    { client, sidecar }: Member,
    { key, by, value, lifetimeMs }: SidecarWrite,
  ): Promise<{
    record: WriteRecord
    kind: WriteAnswer['kind']
    token: string | undefined
    denial: Denial | undefined
  }> {
    const handle = this.#parts.recorder.beginWrite({ key, value, by, via: sidecar.via, lifetimeMs })
    const answer = await this.#send(client, key, value, lifetimeMs)
    if (answer.kind === 'wrong') {
      this.#parts.recorder.endWrite(handle, 'unknown')
      this.#parts.recorder.wrongAnswer(handle.record, answer.why)
      return { record: handle.record, kind: 'wrong', token: undefined, denial: undefined }
    }
    const { kind, why, token, denial } = answer
    this.#parts.recorder.endWrite(handle, kind, denial)
    if (why) this.#parts.recorder.refusedWrite(why)
    return { record: handle.record, kind, token, denial }
  }

  #send(
    client: SidecarClient,
    key: string,
    value: WrittenValue,
    lifetimeMs: number | undefined,
  ): Promise<WriteAnswer> {
    return value === null ? client.delete(key) : client.set(key, value, lifetimeMs)
  }

  #lifetimeMs(): number {
    return Math.round(this.#random.between(...lifetimesMs))
  }

  #begin(key: string, value: WrittenValue, by: string, via: string): WriteHandle {
    return this.#parts.recorder.beginWrite({ key, value, by, via })
  }

  #valueOrDelete(by: string): WrittenValue {
    return this.#random.chance(0.1) ? null : this.#value(by)
  }

  #value(by: string): string {
    return uniqueValue(`${by}-${this.#names++}`, this.#random)
  }

  /** Reads ask for all keys alike. */
  #key(use: 'read' | 'write'): string {
    if (use === 'read') return this.#random.pick(keys)
    const choice = this.#random.next()
    const third = choice < 0.8 ? 0 : choice < 0.98 ? 1 : 2
    return keys[Math.floor(((third + this.#random.next()) * keys.length) / 3)] as string
  }

  #member(): Member {
    return this.#random.pick(this.#parts.fleet.members)
  }
}

/** Returns undefined for what is not a counter, such as a value that a trigger has altered. */
export function counterOf(text: string | null): Counter | undefined {
  try {
    const { run, n } = JSON.parse(text ?? '') as Partial<Counter>
    return typeof run === 'string' && typeof n === 'number' ? { run, n } : undefined
  } catch {
    return undefined
  }
}

/** Waits before the next attempt after a refusal or a failed connection. */
async function backOff(kind: string): Promise<void> {
  if (kind === 'refused' || kind === 'lost' || kind === 'failed') await sleep(50)
}
