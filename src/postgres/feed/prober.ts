import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyPattern } from '../../core/bindings/key-pattern.js'
import { PublicError } from '../../core/errors.js'
import type { ChangeFeedHandler, Clock } from '../../core/ports.js'
import { type FoundBindings, inspectBindings } from '../bindings/binding-inspection.js'
import { isQuery } from '../bindings/bound-source.js'
import type { KnownBindings } from '../bindings/known-bindings.js'
import type { Drainer } from '../outbox/drainer.js'
import { PreparedTransactions, preparedTransactions } from '../outbox/prepared-transactions.js'
import type { Database } from '../pool/database.js'
import { wasNotPrepared } from '../pool/errors.js'
import { withTimeout } from '../pool/with-timeout.js'
import { type CacheTable, inspectTable, type Query } from '../schema/table-inspection.js'
import { deaf, echo } from './echo.js'
import type { ListenSession } from './listen-session.js'
import { ListenerLiveness } from './listener-liveness.js'
import { type ProofRow, probe, proofOf } from './proof.js'

export interface ProberOptions {
  readonly maxStalenessMs: number
}

export interface ProberParts {
  readonly session: ListenSession
  readonly database: Database
  readonly handler: ChangeFeedHandler
  readonly clock: Pick<Clock, 'now'>
  /** Called with the table each time it has been inspected. */
  readonly onTable: (table: CacheTable) => void
  readonly bindings?: Pick<KnownBindings, 'found' | 'proven'> | undefined
  readonly drainer: Drainer
  /** Ends the session. */
  readonly end: (reason: unknown) => void
}

/** Time between two inspections. With the next probe, a definition that nobody announces is noticed within a minute. */
const inspectionIntervalMs = 57_000
/** Minimum time from one probe to the next, if an announcement brings it forward. */
const hurriedIntervalMs = 100
const noAnswer = 'the listening connection does not answer'

/** What a session has found, at its start or since. */
export interface Inspected {
  readonly table: CacheTable
  readonly bindings: FoundBindings
  /** Moment at which the bindings were asked for. */
  readonly bindingsSentMs: number
  /** Transactions that were prepared before everything is compared. */
  readonly prepared: string
}

/** An inspection beside the probes, with what it has found once it is over. */
interface InspectionBeside {
  found: Inspected | undefined
}

/** Shows that a session, which listens, still delivers every change. */
export class Prober {
  readonly #options: ProberOptions
  readonly #parts: ProberParts
  #hurry: () => void = () => undefined
  #isHurried = false
  /** Patterns of the bindings, as the last inspection has found them. */
  #patterns: readonly KeyPattern[] = []

  constructor(options: ProberOptions, parts: ProberParts) {
    this.#options = options
    this.#parts = parts
  }

  /**
   * Calls `handler.proven` at intervals, until the handler rests. Rejects when `signal` is aborted.
   *
   * If a probe shows that bindings have changed, or that somebody has announced it, they are inspected before its proof
   * counts. The inspection of every minute looks for definitions that nobody has announced, and no proof covers these.
   * So it need not hold up a probe, nor the lease with it: probes go on, and wait for one of its statements at most. Its
   * findings are passed on with the first probe after it, unless another inspection has begun in between, whose
   * findings are newer:
   *
   *   1. The inspection of the minute reads that the triggers of a table are enabled.
   *   2. They are disabled, and that is announced. The inspection before the next proof finds it: 503.
   *   3. With the findings of the first one, the keys would be served for another minute, and no change would drop them.
   *
   * They do not count either if their digest is not that of the probe, because bindings have changed in between.
   */
  async prove(inspected: Inspected, signal: AbortSignal): Promise<{ readonly needed: Promise<void> }> {
    const { handler, clock, database, session, bindings, drainer, end } = this.#parts
    let sentMs = clock.now()
    let inspectedMs = sentMs
    let seen = { fingerprint: inspected.table.fingerprint, digest: inspected.bindings.digest }
    let beside: InspectionBeside | undefined
    const options = { quietMs: this.#intervalMs / 2, echoTimeoutMs: this.#timeoutMs }
    const prepared = new PreparedTransactions(inspected.prepared)
    const liveness = new ListenerLiveness(options, { database, session, onDeaf: end }, sentMs)
    for (;;) {
      await this.#pause(sentMs, signal)
      const needed = handler.rest()
      if (needed) return { needed }
      await drainer.drain(this.#intervalMs / 2)
      // Before the probe is sent: only then are the notifications of the drain ahead of its answer.
      const drained = drainer.last
      sentMs = clock.now()
      const proof = await this.#probe()
      // Announcements that were committed before the probe was sent have arrived before its answer.
      const isHurried = this.#isHurried
      this.#isHurried = false
      const { fingerprint, bindings: digest } = proof
      const isChanged = fingerprint !== seen.fingerprint || digest !== seen.digest
      if (isHurried || isChanged) {
        const found = await this.inspect()
        this.found(found)
        seen = { fingerprint, digest: found.bindings.digest }
        beside = undefined
        inspectedMs = sentMs
      } else if (beside?.found) {
        if (beside.found.bindings.digest === digest) this.found(beside.found)
        else inspectedMs = Number.NEGATIVE_INFINITY
        beside = undefined
      } else if (beside === undefined && sentMs - inspectedMs >= inspectionIntervalMs) {
        beside = this.#inspectBeside(end)
        inspectedMs = sentMs
      }
      await liveness.confirm(sentMs)
      signal.throwIfAborted()
      bindings?.proven(sentMs)
      if (prepared.hasEnded(proof.prepared)) handler.changed({ kind: 'everything' })?.catch(end)
      handler.proven(sentMs, proofOf(proof, drained))?.catch(end)
    }
  }

  /**
   * Brings the next probe forward, with an inspection: bindings have changed. A role that announces that all the time
   * causes ten probes a second.
   */
  hurry(): void {
    this.#isHurried = true
    this.#hurry()
  }

  /** Waits until the next probe after the one that was sent at `sentMs`. Rejects when `signal` is aborted. */
  async #pause(sentMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    const until = (dueMs: number, sooner: AbortSignal) =>
      sleep(Math.max(0, dueMs - clock.now()), undefined, { signal: sooner }).catch((error: unknown) => {
        if (signal.aborted) throw error
      })
    const hurried = new AbortController()
    const hurry = () => hurried.abort()
    this.#hurry = hurry
    if (this.#isHurried || signal.aborted) hurried.abort()
    // AbortSignal.any would leave a record in `signal` each time, which Node.js 20 keeps until the session ends.
    signal.addEventListener('abort', hurry)
    try {
      await until(sentMs + this.#intervalMs * (0.8 + 0.4 * Math.random()), hurried.signal)
    } finally {
      signal.removeEventListener('abort', hurry)
    }
    if (hurried.signal.aborted) await until(sentMs + hurriedIntervalMs, signal)
  }

  /** Implements `roundTrip` of `FeedSession`. */
  async roundTrip(): Promise<number> {
    const { clock } = this.#parts
    await this.#probe()
    await this.inspect()
    const sentMs = clock.now()
    await this.echo()
    return clock.now() - sentMs
  }

  /** Returns the pattern of the binding of a mapping; undefined if no inspection has found it. */
  patternOf(mapping: string): KeyPattern | undefined {
    return this.#patterns.find(({ text }) => mapping.startsWith(`cache_map_${md5(text).slice(0, 12)}_`))
  }

  /** Passes on what an inspection has found. */
  found({ table, bindings: found, bindingsSentMs }: Inspected): void {
    const { bindings, handler, drainer, onTable } = this.#parts
    onTable(table)
    this.#patterns = found.sources.map(({ pattern }) => pattern)
    bindings?.found(found, bindingsSentMs)
    handler.bound(found.sources)
    const isNeeded = bindings !== undefined && found.sources.some(({ viaOutbox }) => viaOutbox)
    drainer.drainFor(isNeeded ? { ...table, hasMappings: found.sources.some(isQuery) } : undefined)
  }

  /**
   * Inspects the table and the bindings. Rejects if changes of the table are not announced, or if a statement is not
   * answered in time. There are more statements if there are more bindings.
   */
  async inspect(): Promise<Inspected> {
    const { session, clock } = this.#parts
    const query: Query = (sql) => withTimeout(this.#timeoutMs, session.query(sql), noAnswer)
    return inspectedBindings(query, await inspectTable(query), clock)
  }

  /** Begins an inspection that nobody waits for. */
  #inspectBeside(onFailure: (reason: unknown) => void): InspectionBeside {
    const beside: InspectionBeside = { found: undefined }
    this.inspect().then((found) => {
      beside.found = found
    }, onFailure)
    return beside
  }

  /** Sends an echo. Resolves when the session has received it. */
  echo(): Promise<void> {
    const { database, session } = this.#parts
    return echo(database, session, this.#timeoutMs)
  }

  async #probe(): Promise<ProofRow> {
    const asking = this.#parts.session.query<ProofRow>(probe).catch((error: unknown) => {
      // After DISCARD ALL the session has neither the prepared statement nor its LISTEN.
      throw wasNotPrepared(error) ? new PublicError(deaf) : error
    })
    const [proof] = await withTimeout(this.#timeoutMs, asking, noAnswer)
    if (proof === undefined) throw new PublicError('the probe returned no row')
    return proof
  }

  get #intervalMs(): number {
    return Math.min(1_000, this.#options.maxStalenessMs / 3)
  }

  /**
   * Chosen so that, together with the longest interval before it, a silent link is given up within the staleness bound.
   */
  get #timeoutMs(): number {
    return this.#options.maxStalenessMs / 2
  }
}

/** Inspects the bindings of the cache, and finds the prepared transactions. */
export async function inspectedBindings(
  query: Query,
  table: CacheTable,
  clock: Pick<Clock, 'now'>,
): Promise<Inspected> {
  await query('set jit = off')
  const bindingsSentMs = clock.now()
  const bindings = await inspectBindings(query, table.schema)
  const [row] = await query<{ prepared: string }>(`select ${preparedTransactions} as prepared`)
  return { table, bindings, bindingsSentMs, prepared: row?.prepared ?? '' }
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}
