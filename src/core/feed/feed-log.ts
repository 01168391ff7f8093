import type { Epoch } from '../entry.js'
import type { Clock, Log } from '../ports.js'
import type { FeedState } from '../state/lease.js'

/** A change of the feed's state. */
export interface FeedTransition {
  /** Number of this change. Each is one higher than that of the one before. */
  readonly number: number
  /** Time at which the state began, in ms. */
  readonly atMs: number
  readonly state: FeedState
  /** Reason as it may be shown in public. */
  readonly reason: string
  /** State before, and its duration in ms. */
  readonly was: FeedState
  readonly forMs: number
  /** Number of entries that were compared and are held; only of the state `live`. */
  readonly entries?: number
}

/** Number of changes that are remembered. */
const rememberedTransitions = 50

/**
 * Logs every change of the feed's state, with the reason and the duration of the state before, and remembers the last
 * ones.
 */
export class FeedLog {
  readonly #clock: Clock
  readonly #log: Log
  #state: FeedState = 'down'
  #sinceMs: number
  #number = 0
  readonly #transitions: FeedTransition[] = []

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
    this.#sinceMs = clock.now()
  }

  /** The last changes, oldest first. */
  get transitions(): readonly FeedTransition[] {
    return this.#transitions
  }

  /** `shownReason` names nothing of the database. */
  lost(reason: string, shownReason = reason): void {
    this.#log.warn({ reason, ...this.#turnTo('down', shownReason) }, 'change feed lost')
  }

  catchingUp(reason: string): void {
    this.#log.info({ reason, ...this.#turnTo('catching-up', reason) }, 'change feed catching up')
  }

  idle(): void {
    const reason = 'no requests for CACHE_IDLE_AFTER_MS'
    this.#log.info({ reason, ...this.#turnTo('idle', reason) }, 'change feed idle')
  }

  live(fields: { readonly epoch: Epoch | undefined; readonly entries: number }): void {
    const reason = 'all entries have been compared with the database'
    const { entries } = fields
    this.#log.info({ reason, ...this.#turnTo('live', reason, { entries }), ...fields }, 'change feed live')
  }

  #turnTo(
    state: FeedState,
    reason: string,
    more: Pick<FeedTransition, 'entries'> = {},
  ): { readonly was: FeedState; readonly forMs: number } {
    const nowMs = this.#clock.now()
    const before = { was: this.#state, forMs: Math.round(nowMs - this.#sinceMs) }
    this.#transitions.push({ number: ++this.#number, atMs: nowMs, state, reason, ...before, ...more })
    if (this.#transitions.length > rememberedTransitions) this.#transitions.shift()
    this.#state = state
    this.#sinceMs = nowMs
    return before
  }
}
