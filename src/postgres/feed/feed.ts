import { setTimeout as sleep } from 'node:timers/promises'
import { PublicError } from '../../core/errors.js'
import type { ChangeFeed, ChangeFeedHandler, Clock, Log } from '../../core/ports.js'
import type { Database } from '../pool/database.js'
import { messageOf, wasNotPrepared } from '../pool/errors.js'
import { publicReason } from '../pool/public-reason.js'
import { withTimeout } from '../pool/with-timeout.js'
import { type CacheTable, inspectTable } from '../schema/table-inspection.js'
import { decodeChanges } from './change.js'
import { deaf, echo } from './echo.js'
import { ListenSession } from './listen-session.js'
import { ListenerLiveness } from './listener-liveness.js'
import { type ProofRow, proofIn, proofOf } from './proof.js'

export interface PostgresChangeFeedOptions {
  /** URL that leads directly to the server: LISTEN does not work through a pooler in transaction mode. */
  readonly url: string
  readonly maxStalenessMs: number
  /** Set to `disconnect` to close the connection while the handler rests (is idle). */
  readonly whenIdle: 'listen' | 'disconnect'
}

export interface PostgresChangeFeedParts {
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  /** Called before every session. */
  readonly prepare: () => Promise<void>
  /**
   * Called with the table that a session has inspected: at its start, every minute, and after a change of the
   * fingerprint. Called with undefined when the session ends or the handler rests.
   */
  readonly onTable: (table: CacheTable | undefined) => void
}

const inspectionIntervalMs = 60_000
const connectTimeoutMs = 3_000
/** Outcome of a session: it failed, or it ended while the handler rested. `needed` resolves when the rest is over. */
type Ending =
  | { readonly kind: 'failed'; readonly reason: unknown }
  | { readonly kind: 'resting'; readonly needed: Promise<void> }

/** Bounds of the pause between attempts, which doubles each time. Up to half of a pause is taken off at random. */
const firstPauseMs = 100
const longestPauseMs = 2_000

/**
 * Change feed that reconnects by itself. Each turn of `#run` is one session:
 *
 *   prepare -> connected -> table inspected -> LISTEN acknowledged -> echo -> handler.listening
 *     -> probe, probe, ... -> lost -> pause
 *
 * Any failure in between ends the session, and the next session starts from nothing.
 *
 * While the handler rests (is idle), no probes and no echoes are sent. If the session was kept open, it resumes with an
 * echo and a new call of `handler.listening`, as if it were new, because either connection may have changed its server
 * meanwhile:
 *   1. the handler rests; the session stays     3. a minute later, the new server acknowledges a write
 *   2. the server fails over: the pool leads    4. the handler is needed: the old server would answer a probe,
 *      to the new one, the old one lives on        and knows of no change
 * An echo is sent through the pool, to the new server, and does not arrive. So the session ends.
 */
export class PostgresChangeFeed implements ChangeFeed {
  readonly #options: PostgresChangeFeedOptions
  readonly #parts: PostgresChangeFeedParts
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: PostgresChangeFeedOptions, parts: PostgresChangeFeedParts) {
    this.#options = options
    this.#parts = parts
  }

  start(handler: ChangeFeedHandler): Promise<void> {
    return new Promise((resolve) => {
      this.#running = this.#run(handler, resolve)
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(handler: ChangeFeedHandler, onFirstAttempt: () => void): Promise<void> {
    const { database, log } = this.#parts
    let failures = 0
    let lastReason = ''
    while (!this.#closing.signal.aborted) {
      const ending = await this.#session(handler, () => {
        failures = 0
        lastReason = ''
        onFirstAttempt()
      })
      if (this.#closing.signal.aborted) break
      if (ending.kind === 'resting') {
        await this.#untilClosing(ending.needed)
        continue
      }
      const reason = messageOf(ending.reason)
      handler.lost(reason, publicReason(ending.reason))
      if (reason !== lastReason) log.warn({ reason }, 'no change feed; trying again')
      lastReason = reason
      database.renew()
      onFirstAttempt()
      const pauseMs = Math.min(firstPauseMs * 2 ** failures++, longestPauseMs)
      await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: this.#closing.signal }).catch(
        () => {},
      )
    }
    onFirstAttempt()
  }

  async #untilClosing(needed: Promise<void>): Promise<void> {
    const { signal } = this.#closing
    let onAbort: () => void = () => undefined
    const closing = new Promise<void>((resolve) => {
      onAbort = resolve
    })
    signal.addEventListener('abort', onAbort)
    await Promise.race([needed, closing])
    signal.removeEventListener('abort', onAbort)
  }

  /** Runs one session until it ends. */
  async #session(handler: ChangeFeedHandler, onLive: () => void): Promise<Ending> {
    const { prepare, clock, database, onTable } = this.#parts
    const over = new AbortController()
    const end = (reason: unknown) => over.abort(reason)
    const ended = new Promise<never>((_resolve, reject) => {
      over.signal.addEventListener('abort', () => reject(over.signal.reason))
    })
    ended.catch(() => undefined)
    const close = () => end(new PublicError('closed'))
    this.#closing.signal.addEventListener('abort', close)

    let session: ListenSession | undefined
    let needed: Promise<void> | undefined
    try {
      await Promise.race([prepare(), ended])
      const listening = new ListenSession({
        url: this.#options.url,
        connectTimeoutMs,
        unreadTimeoutMs: this.#unreadTimeoutMs,
        onNotification: (payload) => deliver(payload, handler, end),
      })
      session = listening
      session.lost.catch(end)
      let table = await Promise.race([
        withTimeout(connectTimeoutMs, listen(session), 'LISTEN was not answered'),
        ended,
      ])
      for (;;) {
        // LISTEN is in force: it was acknowledged just now, or, after a rest, the echo below shows it.
        const listeningSinceMs = clock.now()
        onTable(table)
        await Promise.race([echo(database, session, this.#probeTimeoutMs), ended])
        const caughtUp = handler
          .listening(listeningSinceMs, {
            fingerprint: table.fingerprint,
            end: (reason) => end(new PublicError(reason)),
          })
          .then(onLive)
        const proving = this.#prove(session, table, handler, over)
        const [resting] = await Promise.race([Promise.all([proving, caughtUp]), ended])
        needed = resting.needed
        onTable(undefined)
        if (this.#options.whenIdle === 'disconnect') break
        await Promise.race([needed, ended])
        needed = undefined
        table = await Promise.race([this.#inspectAgain(session), ended])
      }
      return { kind: 'resting', needed }
    } catch (reason) {
      return needed ? { kind: 'resting', needed } : { kind: 'failed', reason }
    } finally {
      onTable(undefined)
      close()
      this.#closing.signal.removeEventListener('abort', close)
      session?.destroy()
    }
  }

  /** Inspects the table after a rest, during which it may have been replaced. */
  async #inspectAgain(session: ListenSession): Promise<CacheTable> {
    const table = await withTimeout(this.#probeTimeoutMs, inspectTable(session.query.bind(session)), noAnswer)
    if (table.channel !== session.channel) throw new PublicError('the table was moved to another schema')
    return table
  }

  /** Renews the lease until the handler rests. Rejects when the session is over. */
  async #prove(
    session: ListenSession,
    { fingerprint: first }: CacheTable,
    handler: ChangeFeedHandler,
    over: AbortController,
  ): Promise<{ readonly needed: Promise<void> }> {
    const { clock, database, onTable } = this.#parts
    let sentMs = clock.now()
    let inspectedMs = sentMs
    let fingerprint = first
    const { signal } = over
    const onDeaf = (reason: unknown) => over.abort(reason)
    const options = { quietMs: this.#probeIntervalMs / 2, echoTimeoutMs: this.#probeTimeoutMs }
    const liveness = new ListenerLiveness(options, { database, session, onDeaf }, sentMs)
    for (;;) {
      const dueMs = sentMs + this.#probeIntervalMs * (0.8 + 0.4 * Math.random())
      await sleep(Math.max(0, dueMs - clock.now()), undefined, { signal })
      const needed = handler.rest()
      if (needed) return { needed }
      sentMs = clock.now()
      const asking = session.query<ProofRow>(probe).catch((error: unknown) => {
        // After DISCARD ALL the session has neither the prepared statement nor its LISTEN.
        throw wasNotPrepared(error) ? new PublicError(deaf) : error
      })
      const [proof] = await withTimeout(this.#probeTimeoutMs, asking, noAnswer)
      if (proof === undefined) throw new PublicError('the probe returned no row')
      if (proof.fingerprint !== fingerprint || sentMs - inspectedMs >= inspectionIntervalMs) {
        onTable(await withTimeout(this.#probeTimeoutMs, inspectTable(session.query.bind(session)), noAnswer))
        fingerprint = proof.fingerprint
        inspectedMs = sentMs
      }
      await liveness.confirm(sentMs)
      signal.throwIfAborted()
      handler.proven(sentMs, proofOf(proof))?.catch(onDeaf)
    }
  }

  get #probeIntervalMs(): number {
    return Math.min(1_000, this.#options.maxStalenessMs / 3)
  }

  /**
   * Chosen so that, together with the longest interval before it, a silent link is given up within the staleness bound.
   */
  get #probeTimeoutMs(): number {
    return this.#options.maxStalenessMs / 2
  }

  /** Long enough that a sidecar that has not read for so long has given up the session, or will once it runs again. */
  get #unreadTimeoutMs(): number {
    return this.#options.maxStalenessMs * 4
  }
}

/** Finds the table, and listens for its changes. Prepares the probe, so that it is planned only once. */
async function listen(session: ListenSession): Promise<CacheTable> {
  await session.open()
  const table = await inspectTable(session.query.bind(session))
  await session.listen(table.channel)
  await session.query(`prepare caching_layer_probe as ${proofIn(table.schema)}`)
  return table
}

const probe = 'execute caching_layer_probe'
const noAnswer = 'the listening connection does not answer'

/**
 * Passes the changes of a notification to the handler. If the handler throws, it has not applied the change. Only a new
 * session repairs that, because it compares all entries again.
 */
function deliver(
  payload: string | undefined,
  handler: ChangeFeedHandler,
  end: (reason: unknown) => void,
): void {
  try {
    for (const change of decodeChanges(payload)) handler.changed(change)?.catch(end)
  } catch (error) {
    end(error)
  }
}
