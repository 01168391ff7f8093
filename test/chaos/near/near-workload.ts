import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../../support/random.js'
import { held, readTables } from '../bound/bound-tables.js'
import type { BoundWorkload } from '../bound/bound-workload.js'
import { ClientLoops } from '../client-loops.js'
import type { Recorder } from '../oracle/recorder.js'
import { hotKeys, keys } from '../workload.js'
import type { NearCaches } from './near-caches.js'
import type { NearClient } from './near-client.js'

export interface NearWorkloadParts {
  readonly nearCaches: Pick<NearCaches, 'clients'>
  readonly recorder: Recorder
  readonly bound: BoundWorkload
  readonly seed: number
  readonly isDuringFault: () => boolean
}

export interface NearFigures {
  readonly caches: number
  readonly readsChecked: number
  /** Reads that were answered from a near cache. */
  readonly hits: number
  readonly absentHits: number
  /** Hits of rows of bound tables. */
  readonly rowHits: number
  readonly maxStalenessMs: number
  /** Reads of keys that the same client had written. */
  readonly sessions: number
  readonly connections: number
}

/** Pauses in ms between the operations of one client of a kind. Each near cache has one client of each kind. */
const pauses = {
  reader: [0, 30],
  boundReader: [0, 30],
  filler: [100, 600],
  sweeper: [100, 400],
  writer: [100, 600],
} as const

const shareOfDeletes = 0.1
const keysAtOnce = 20
const rows = [...readTables, held].flatMap((table) => table.rows)

/** Clients of near caches that read all keys, check all that is held, and write some keys. */
export class NearWorkload {
  readonly #parts: NearWorkloadParts
  readonly #random: Random
  readonly #loops: ClientLoops
  #names = 0

  constructor(parts: NearWorkloadParts) {
    this.#parts = parts
    this.#random = new Random(parts.seed ^ 0x27d4eb2f)
    this.#loops = new ClientLoops(this.#random)
  }

  start(): void {
    for (const client of this.#parts.nearCaches.clients) {
      const turns: Record<keyof typeof pauses, () => Promise<unknown>> = {
        reader: () => this.#read(client),
        boundReader: () => this.#readRow(client),
        filler: () => this.#fill(client),
        sweeper: async () => this.#sweep(client),
        writer: () => this.#write(client),
      }
      for (const kind of Object.keys(turns) as (keyof typeof turns)[])
        this.#loops.start({ pauseMs: pauses[kind], isReader: kind !== 'writer', turn: turns[kind] })
    }
  }

  get figures(): NearFigures {
    const { nearCaches, recorder, bound } = this.#parts
    const recorders = [recorder, bound.recorder]
    const sum = (pick: (recorder: Recorder) => number) =>
      recorders.reduce((total, one) => total + pick(one), 0)
    return {
      caches: nearCaches.clients.length,
      readsChecked: sum(({ nearStaleness }) => nearStaleness.checked),
      hits: sum(({ counts }) => counts.nearHits),
      absentHits: sum(({ counts }) => counts.nearAbsentHits),
      rowHits: bound.recorder.counts.nearHits,
      maxStalenessMs: Math.max(...recorders.map(({ nearStaleness }) => nearStaleness.maxMs)),
      sessions: recorder.nearSessions,
      connections: nearCaches.clients.reduce((total, { front }) => total + front.connections, 0),
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

  async #read(client: NearClient): Promise<void> {
    const { recorder, isDuringFault } = this.#parts
    const key = this.#random.pick(keys)
    const read = recorder.beginRead({ kind: 'near', key, by: 'reader', via: client.name })
    const answer = await client.get(key)
    recorder.endRead(read, answer, isDuringFault())
    if (answer.kind !== 'entry') await sleep(50)
  }

  async #readRow(client: NearClient): Promise<void> {
    const { bound } = this.#parts
    const { key } = this.#random.pick(rows)
    const read = bound.recorder.beginRead({ kind: 'near', key, by: 'reader', via: client.name })
    const answer = await client.get(key)
    bound.endRead(read, answer)
    if (answer.kind !== 'entry') await sleep(50)
  }

  /** Checks all values that are held, however slow the machine is. */
  #sweep(client: NearClient): void {
    const { recorder, bound, isDuringFault } = this.#parts
    const begin = (key: string) => ({ kind: 'near', key, by: 'sweeper', via: client.name }) as const
    for (const key of keys) {
      const read = recorder.beginRead(begin(key))
      const answer = client.held(key)
      if (answer) recorder.endRead(read, answer, isDuringFault())
    }
    for (const { key } of rows) {
      const read = bound.recorder.beginRead(begin(key))
      const answer = client.held(key)
      if (answer) bound.endRead(read, answer)
    }
  }

  async #fill(client: NearClient): Promise<void> {
    const some = this.#random.shuffled(this.#random.chance(0.5) ? keys : rows.map(({ key }) => key))
    const wanted = some.slice(0, keysAtOnce)
    const failure = await client.fill(wanted)
    if (failure?.kind === 'wrong')
      this.#parts.recorder.wrongAnswer(
        { key: wanted[0] as string, by: 'filler', via: client.name },
        failure.why,
      )
  }

  /** Writes an object, because the client stores a string as JSON, in quotes. */
  async #write(client: NearClient): Promise<void> {
    const { recorder } = this.#parts
    const value = this.#random.chance(shareOfDeletes)
      ? null
      : JSON.stringify({ name: `near-${this.#names++}`, padding: '' })
    const write = recorder.beginWrite({
      key: this.#random.pick(hotKeys),
      value,
      by: 'writer',
      via: client.name,
    })
    const answer = await client.write(write.record.key, value)
    recorder.endWrite(write, answer.kind === 'wrong' ? 'unknown' : answer.kind)
    if (answer.kind === 'wrong') recorder.wrongAnswer(write.record, answer.why)
    // Each write whose outcome is unknown leaves the checkers less to conclude.
    if (answer.kind === 'unknown') await sleep(500)
  }
}
