import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyPattern } from '../../core/bindings/key-pattern.js'
import { PublicError } from '../../core/errors.js'
import type { ChangeFeed, ChangeFeedHandler, Clock, Log } from '../../core/ports.js'
import type { KnownBindings } from '../bindings/known-bindings.js'
import { type DrainCounts, Drainer } from '../outbox/drainer.js'
import type { Database } from '../pool/database.js'
import { messageOf } from '../pool/errors.js'
import { publicReason } from '../pool/public-reason.js'
import { withTimeout } from '../pool/with-timeout.js'
import { type CacheTable, inspectTable, type Query } from '../schema/table-inspection.js'
import { decodeChanges } from './change.js'
import { ListenSession } from './listen-session.js'
import { type Inspected, inspectedBindings, Prober } from './prober.js'
import { prepareProbeIn } from './proof.js'

export interface PostgresChangeFeedOptions {
  /** URL that leads directly to the server: LISTEN does not work through a pooler in transaction mode. */
  readonly url: string
  readonly maxStalenessMs: number
  /** Set to `disconnect` to close the connection while the handler rests (is idle). */
  readonly whenIdle: 'listen' | 'disconnect'
}

export interface PostgresChangeFeedParts {
  readonly database: Database
  /** Receives what each session finds of the bindings. */
  readonly bindings?: Pick<KnownBindings, 'found' | 'proven' | 'onOutdated'>
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  /** Called before every session. */
  readonly prepare?: () => Promise<void>
  /**
   * Called with the table that a session has inspected: at its start, every minute, and after a change of the
   * fingerprint. Called with undefined when the session ends or the handler rests.
   */
  readonly onTable?: (table: CacheTable | undefined) => void
}

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
  /** Counts of the drains of this sidecar, in all sessions. */
  readonly drains: DrainCounts = { statements: 0, rows: 0 }
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
      handler.lost(reason, publicReason(ending.reason), ending.reason)
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
    const { prepare, clock, database, bindings, onTable = () => undefined } = this.#parts
    const over = new AbortController()
    const end = (reason: unknown) => over.abort(reason)
    const ended = new Promise<never>((_resolve, reject) => {
      over.signal.addEventListener('abort', () => reject(over.signal.reason))
    })
    ended.catch(() => undefined)
    const close = () => end(new PublicError('closed'))
    this.#closing.signal.addEventListener('abort', close)

    let session: ListenSession | undefined
    let drainer: Drainer | undefined
    let needed: Promise<void> | undefined
    try {
      await Promise.race([prepare?.(), ended])
      const listening = new ListenSession({
        url: this.#options.url,
        connectTimeoutMs,
        unreadTimeoutMs: this.#unreadTimeoutMs,
        onNotification: (payload) =>
          deliver(payload, handler, {
            onBindings: () => prober.hurry(),
            onDrain: () => drainer?.heard(),
            patternOf: (mapping) => prober.patternOf(mapping),
            end,
          }),
      })
      session = listening
      session.lost.catch(end)
      const { log } = this.#parts
      const intervalMs = this.#options.maxStalenessMs / 3
      const { url, maxStalenessMs } = this.#options
      // Twice that, and the time until the next drain, are still within the bound on staleness.
      const limits = { intervalMs, limitMs: Math.ceil(maxStalenessMs / 5) }
      const patternOf = (mapping: string): KeyPattern | undefined => prober.patternOf(mapping)
      drainer = new Drainer({ url, ...limits }, { clock, log, counts: this.drains, patternOf })
      const prober: Prober = new Prober(this.#options, {
        drainer,
        session: listening,
        database,
        bindings,
        handler,
        clock,
        onTable,
        end,
      })
      bindings?.onOutdated(() => prober.hurry())
      let inspected = await Promise.race([listen(listening, clock), ended])
      for (;;) {
        // LISTEN is in force: it was acknowledged just now, or, after a rest, the echo below shows it.
        const listeningSinceMs = clock.now()
        prober.found(inspected)
        await Promise.race([prober.echo(), ended])
        const caughtUp = handler
          .listening(listeningSinceMs, {
            fingerprint: inspected.table.fingerprint,
            roundTrip: () => Promise.race([prober.roundTrip(), ended]),
            end: (reason) => end(new PublicError(reason)),
          })
          .then(onLive)
        const proving = prober.prove(inspected, over.signal)
        const [resting] = await Promise.race([Promise.all([proving, caughtUp]), ended])
        needed = resting.needed
        onTable(undefined)
        drainer.drainFor(undefined)
        if (this.#options.whenIdle === 'disconnect') break
        await Promise.race([needed, ended])
        needed = undefined
        // It may have been replaced meanwhile.
        inspected = await Promise.race([prober.inspect(), ended])
        if (inspected.table.channel !== session.channel)
          throw new PublicError('the table was moved to another schema')
      }
      return { kind: 'resting', needed }
    } catch (reason) {
      return needed ? { kind: 'resting', needed } : { kind: 'failed', reason }
    } finally {
      onTable(undefined)
      close()
      this.#closing.signal.removeEventListener('abort', close)
      drainer?.close()
      session?.destroy()
    }
  }

  /** Long enough that a sidecar that has not read for so long has given up the session, or will once it runs again. */
  get #unreadTimeoutMs(): number {
    return this.#options.maxStalenessMs * 4
  }
}

/**
 * Finds the table and the bindings, and listens for changes. Prepares the probe, so that it is planned only once.
 * Rejects if that takes too long. Each statement for the bindings has its own time: with many of them, no session would
 * be in time for all.
 */
async function listen(session: ListenSession, clock: Pick<Clock, 'now'>): Promise<Inspected> {
  let late = 'the connection was not answered'
  const listening = async () => {
    await session.open()
    late = 'the table could not be inspected in time'
    const table = await inspectTable(session.query.bind(session))
    late = 'LISTEN was not answered'
    await session.listen(table.channel)
    return table
  }
  const table = await withTimeout(connectTimeoutMs, listening(), () => late)
  const query: Query = (sql) =>
    withTimeout(connectTimeoutMs, session.query(sql), 'the bindings could not be inspected in time')
  // After LISTEN: a binding that is made before is found here, and one that is made later is announced.
  const inspected = await inspectedBindings(query, table, clock)
  await query(prepareProbeIn(table.schema))
  return inspected
}

interface Delivering {
  readonly onBindings: () => void
  /** Called if a sidecar has drained the outbox, this one or another. */
  readonly onDrain: () => void
  readonly patternOf: (mapping: string) => KeyPattern | undefined
  readonly end: (reason: unknown) => void
}

/**
 * Passes the changes of a notification to the handler. If the handler throws, it has not applied the change. Only a new
 * session repairs that, because it compares all entries again.
 */
function deliver(
  payload: string | undefined,
  handler: ChangeFeedHandler,
  { onBindings, onDrain, patternOf, end }: Delivering,
): void {
  try {
    for (const change of decodeChanges(payload)) {
      if (change.kind === 'bindings') onBindings()
      else if (change.kind === 'drain') onDrain()
      else if (change.kind === 'mapping') {
        // A binding that is not known yet is passed on as a new one before anything of it is proven.
        const pattern = patternOf(change.name)
        if (pattern) handler.changed({ kind: 'pattern', pattern })?.catch(end)
      } else handler.changed(change)?.catch(end)
    }
  } catch (error) {
    end(error)
  }
}
