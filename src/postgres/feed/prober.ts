import { setTimeout as sleep } from 'node:timers/promises'
import { PublicError } from '../../core/errors.js'
import type { ChangeFeedHandler, Clock } from '../../core/ports.js'
import type { Database } from '../pool/database.js'
import { wasNotPrepared } from '../pool/errors.js'
import { withTimeout } from '../pool/with-timeout.js'
import { type CacheTable, inspectTable } from '../schema/table-inspection.js'
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
  readonly clock: Pick<Clock, 'now'>
  /** Called with the table each time it has been inspected. */
  readonly onTable: (table: CacheTable) => void
  /** Ends the session. */
  readonly end: (reason: unknown) => void
}

const inspectionIntervalMs = 60_000
const noAnswer = 'the listening connection does not answer'

/** Shows that a session, which listens, still delivers every change. */
export class Prober {
  readonly #options: ProberOptions
  readonly #parts: ProberParts

  constructor(options: ProberOptions, parts: ProberParts) {
    this.#options = options
    this.#parts = parts
  }

  /** Calls `handler.proven` at intervals, until the handler rests. Rejects when `signal` is aborted. */
  async prove(
    table: CacheTable,
    handler: ChangeFeedHandler,
    signal: AbortSignal,
  ): Promise<{ readonly needed: Promise<void> }> {
    const { clock, database, session, onTable, end } = this.#parts
    let sentMs = clock.now()
    let inspectedMs = sentMs
    let { fingerprint } = table
    const options = { quietMs: this.#intervalMs / 2, echoTimeoutMs: this.#timeoutMs }
    const liveness = new ListenerLiveness(options, { database, session, onDeaf: end }, sentMs)
    for (;;) {
      const dueMs = sentMs + this.#intervalMs * (0.8 + 0.4 * Math.random())
      await sleep(Math.max(0, dueMs - clock.now()), undefined, { signal })
      const needed = handler.rest()
      if (needed) return { needed }
      sentMs = clock.now()
      const proof = await this.#probe()
      if (proof.fingerprint !== fingerprint || sentMs - inspectedMs >= inspectionIntervalMs) {
        onTable(await this.inspect())
        fingerprint = proof.fingerprint
        inspectedMs = sentMs
      }
      await liveness.confirm(sentMs)
      signal.throwIfAborted()
      handler.proven(sentMs, proofOf(proof))?.catch(end)
    }
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

  /** Inspects the table. Rejects if its changes are not announced. */
  inspect(): Promise<CacheTable> {
    const { session } = this.#parts
    return withTimeout(this.#timeoutMs, inspectTable(session.query.bind(session)), noAnswer)
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
