import type { Cache } from '../cache.js'
import type { FillContest, FillContests } from '../leases/fill-contests.js'
import type { Clock } from '../ports.js'

export interface KeyWaitsParts {
  readonly cache: Pick<Cache, 'status'>
  readonly contests: FillContests
  readonly clock: Clock
  /** Calls `task` after `ms`, unless the returned function is called before. */
  readonly after: (ms: number, task: () => void) => () => void
}

/** Maximum number of requests that wait at the same time. Each takes a few kilobytes. */
const maxWaiting = 1_000
/** Interval at which waiting requests ask while changes do not arrive. */
const pollMs = 500

/** Requests that wait until their key changes. No connection of the database is held meanwhile. */
export class KeyWaits {
  readonly #parts: KeyWaitsParts
  #isClosed = false

  constructor(parts: KeyWaitsParts) {
    this.#parts = parts
  }

  /** Ends all waits, and lets no request wait from now on. */
  close(): void {
    this.#isClosed = true
    this.#parts.contests.allChanged()
  }

  /** Returns how long a request may wait from now on, in ms; 0 if it may not. */
  leftMs(deadlineMs: number, { aborted }: AbortSignal): number {
    const { contests, clock } = this.#parts
    const mayWait = !aborted && !this.#isClosed && contests.waiting < maxWaiting
    return mayWait ? Math.max(0, deadlineMs - clock.now()) : 0
  }

  /**
   * Resolves after `ms`, or as soon as there is another change than the first `seen`, or the client is gone. While the
   * feed does not bring changes, it resolves at the next poll.
   */
  async wait(contest: FillContest, seen: number, ms: number, signal: AbortSignal): Promise<void> {
    if (contest.changes !== seen) return
    const { contests, after } = this.#parts
    contests.waiting++
    let forget: (() => void)[] = []
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      forget = [after(Math.min(ms, this.#untilPollMs()), resolve), contest.onChange(resolve)]
      if (signal.aborted) resolve()
    })
    for (const end of forget) end()
    contests.waiting--
  }

  /**
   * Returns the time to the next poll; `Infinity` while the feed brings all changes. All requests poll at the same
   * moments, so that they share a statement.
   */
  #untilPollMs(): number {
    const { cache, clock } = this.#parts
    return cache.status().feed === 'live' ? Number.POSITIVE_INFINITY : pollMs - (clock.now() % pollMs)
  }
}
