import type { Clock } from '../ports.js'
import type { FillLeases, WantedLease } from './fill-leases.js'

/** Result of asking for the lease of a key. */
export type Turn =
  | { readonly kind: 'granted'; readonly lease: string }
  /**
   * Nobody has to ask again before this time. `isBlocked` is true if nobody has the lease, but it is not given at the
   * moment.
   */
  | { readonly kind: 'wait'; readonly untilMs: number; readonly isBlocked: boolean }

export interface AskingParts {
  readonly leases: Pick<FillLeases, 'acquire'>
  readonly clock: Clock
  readonly pause: (ms: number) => Promise<void>
}

/** Counts of fill leases in this sidecar. */
export interface FillCounts {
  /** Leases that were given to callers of this sidecar. */
  readonly granted: number
  /** Values that were sent with a lease and not stored. */
  readonly refused: number
  /** Requests that wait for a value now. */
  readonly waiting: number
}

/** Attempts to get a lease while other callers are getting theirs, and the longest pause before each. */
const maxAttempts = 5
const longestPauseMs = 40
/** Time after which a lease that was blocked is asked for again. */
const blockedMs = 250
/** Age up to which callers share an answer. */
const sharedForMs = 1_000
/** So that the lease has certainly ended by the clock of the database as well. */
const slackMs = 10

/**
 * The callers of this sidecar that want the value of one key. They share statements: while one of them asks for the
 * lease, the others wait for the answer, and the lease is for the one that has asked.
 */
export class FillContest {
  /** Number of callers. */
  callers = 0
  /** Number of times that the value may have changed. */
  changes = 0
  readonly #listeners = new Set<() => void>()
  #asking: Promise<void> | undefined
  #askedMs = Number.NEGATIVE_INFINITY
  #untilMs = Number.NEGATIVE_INFINITY
  #isBlocked = false

  /** Wakes all callers that wait, because there may be a value, or the lease may have ended. */
  changed(): void {
    this.changes++
    this.#askedMs = Number.NEGATIVE_INFINITY
    for (const listener of [...this.#listeners]) listener()
  }

  /** Calls `listener` at each change until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Asks for the lease, or waits for the answer to another caller. Rejects with a CacheError. */
  async ask(wanted: WantedLease, parts: AskingParts): Promise<Turn> {
    const { clock } = parts
    const nowMs = clock.now()
    if (this.#asking) await this.#asking
    else if (nowMs >= this.#untilMs || nowMs - this.#askedMs >= sharedForMs) {
      let lease: string | undefined
      this.#asking = this.#ask(wanted, parts).then((given) => {
        lease = given
      })
      try {
        await this.#asking
      } finally {
        this.#asking = undefined
      }
      if (lease !== undefined) return { kind: 'granted', lease }
    }
    return { kind: 'wait', untilMs: this.#untilMs, isBlocked: this.#isBlocked }
  }

  async #ask(wanted: WantedLease, { leases, clock, pause }: AskingParts): Promise<string | undefined> {
    let answer = await leases.acquire(wanted)
    for (let attempt = 1; answer.kind === 'blocked' && attempt < maxAttempts; attempt++) {
      await pause(Math.random() * longestPauseMs)
      answer = await leases.acquire(wanted)
    }
    const nowMs = clock.now()
    this.#askedMs = nowMs
    this.#isBlocked = answer.kind === 'blocked'
    if (answer.kind === 'blocked') this.#untilMs = nowMs + blockedMs
    else {
      const remainingMs = answer.kind === 'taken' ? answer.remainingMs : wanted.durationMs
      this.#untilMs = nowMs + Math.max(0, remainingMs) + slackMs
    }
    return answer.kind === 'granted' ? answer.lease : undefined
  }
}

/** The contests of all keys that are wanted now, by key id. */
export class FillContests {
  readonly #contests = new Map<string, FillContest>()
  granted = 0
  refused = 0
  waiting = 0

  get counts(): FillCounts {
    const { granted, refused, waiting } = this
    return { granted, refused, waiting }
  }

  /** Returns the contest of a key. Call `leave` once for each call. */
  enter(id: string): FillContest {
    const contest = this.#contests.get(id) ?? new FillContest()
    this.#contests.set(id, contest)
    contest.callers++
    return contest
  }

  leave(id: string): void {
    const contest = this.#contests.get(id)
    if (contest && --contest.callers === 0) this.#contests.delete(id)
  }

  /** Records a change of a key. */
  changed(id: string): void {
    if (this.#contests.size > 0) this.#contests.get(id)?.changed()
  }

  /** Records that any key may have changed, or that changes may be missed from now on. */
  allChanged(): void {
    for (const contest of this.#contests.values()) contest.changed()
  }

  /** Records that a value was not stored, so that its lease is worth nothing any more. */
  refusedFill(id: string): void {
    this.refused++
    this.#contests.get(id)?.changed()
  }
}
