/**
 * Is the feed proven fresh?
 *
 *                 listening                  caughtUp
 *      down ----------------> catching-up ----------------> live
 *       ^                      ^    |                        | |
 *       |         lost         |    |         doubt          | |
 *       +----------------------|----+------------------------|-+
 *                              +-----------------------------+
 *
 * `down`: changes may pass us by. `catching-up`: changes arrive, but what happened before has not been
 * compared yet. `live`: nothing is missing, so fills may put.
 *
 * Whether a hit may be served does not depend on the state but on `asOf` alone: everything acknowledged
 * before that moment has been applied here, and that stays true when the feed is lost (P7).
 */
export type FeedState = 'down' | 'catching-up' | 'live'

export class Lease {
  readonly #maxStalenessMs: number
  #state: FeedState = 'down'
  #generation = 0
  #asOfMs = Number.NEGATIVE_INFINITY
  /** The latest moment that will be proven as soon as the cache has caught up. */
  #provenOnceCaughtUpMs = Number.NEGATIVE_INFINITY

  constructor(maxStalenessMs: number) {
    this.#maxStalenessMs = maxStalenessMs
  }

  get state(): FeedState {
    return this.#state
  }

  /** Counts the times that changes may have been missed. A result from an earlier generation proves nothing. */
  get generation(): number {
    return this.#generation
  }

  /** Everything acknowledged before this moment has been applied here. */
  get asOfMs(): number {
    return this.#asOfMs
  }

  /** May an entry be served from memory as fresh at this moment? */
  holds(nowMs: number): boolean {
    return nowMs - this.#asOfMs <= this.#maxStalenessMs
  }

  /** How long ago the last proven moment was, in ms; `Infinity` before the first. */
  ageMs(nowMs: number): number {
    return nowMs - this.#asOfMs
  }

  lost(): void {
    this.#generation++
    this.#state = 'down'
  }

  /** LISTEN was acknowledged at `asOfMs`. */
  listening(asOfMs: number): void {
    this.#state = 'catching-up'
    this.#provenOnceCaughtUpMs = asOfMs
  }

  /** The feed is there, but changes came that we could not apply one by one. */
  doubt(): void {
    this.#generation++
    if (this.#state === 'live') {
      this.#state = 'catching-up'
      this.#provenOnceCaughtUpMs = this.#asOfMs
    }
  }

  /** What was in doubt at `generation` has been compared with the store. */
  caughtUp(generation: number): void {
    if (this.#state !== 'catching-up' || this.#generation !== generation) return
    this.#state = 'live'
    this.#asOfMs = Math.max(this.#asOfMs, this.#provenOnceCaughtUpMs)
  }

  /**
   * A probe *sent* at `asOfMs` has been answered (P7).
   *
   * Not the time of receipt:
   *   1. we send the probe                    3. another client's write is acknowledged
   *   2. the server answers it                4. we read the answer, late
   * The answer says nothing about 3. Nor may a change that happens by renew the lease: it says nothing
   * about changes that are still on their way.
   */
  proven(asOfMs: number): void {
    if (this.#state === 'live') this.#asOfMs = Math.max(this.#asOfMs, asOfMs)
    else if (this.#state === 'catching-up') {
      this.#provenOnceCaughtUpMs = Math.max(this.#provenOnceCaughtUpMs, asOfMs)
    }
  }
}
