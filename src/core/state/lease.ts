/**
 * Is the feed proven fresh?
 *
 *                 listening                  compared
 *      down ----------------> catching-up ----------------> live
 *       ^                      ^    |                        | |
 *       |         lost         |    |         doubt          | |
 *       +----------------------|----+------------------------|-+
 *                              +-----------------------------+
 *
 *      live --- unused for a while ---> idle --- listening ---> catching-up
 *                                        +------- lost -------> down
 *
 * `down`: changes may pass us by. `idle`: they may, because nobody has needed the cache for a while. `catching-up`: changes arrive, but what happened before has not been
 * compared yet. `live`: nothing is missing.
 *
 * Whether a hit may be served does not depend on the state but on `asOf` alone: everything acknowledged
 * before that moment has been applied here, and that stays true when the feed is lost (P7).
 */
export type FeedState = 'down' | 'idle' | 'catching-up' | 'live'

/** A comparison of everything held with the store, and what will be proven when it has ended. */
export interface Comparison {
  readonly session: number
  readonly generation: number
  readonly asOfMs: number
}

export class Lease {
  readonly #maxStalenessMs: number
  #state: FeedState = 'down'
  #session = 0
  #generation = 0
  #coveredGeneration = 0
  #hasCaughtUp = false
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

  /** True if a fill that begins now may put: the feed listens, and has caught up once in this session. */
  get mayPut(): boolean {
    return this.#hasCaughtUp
  }

  /**
   * The generation that the last comparison covers. What was in flight when a doubt came up may still be put, as long as the
   * comparison that covers the doubt has not begun: it will see it. After that, nobody would:
   *   1. a fill begins, and reads the old value      3. a comparison begins: nothing is held yet
   *   2. a change that names no key arrives          4. the fill puts; the comparison ends, and proves 2.
   */
  get coveredGeneration(): number {
    return this.#coveredGeneration
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
    this.#end('down')
  }

  /** The feed stops proving anything, as if it were lost. The lease runs out by itself. */
  rest(): void {
    this.#end('idle')
  }

  #end(state: 'down' | 'idle'): void {
    this.#generation++
    this.#coveredGeneration = this.#generation
    this.#session++
    this.#state = state
    this.#hasCaughtUp = false
  }

  /** LISTEN was acknowledged at `asOfMs`. */
  listening(asOfMs: number): void {
    this.#state = 'catching-up'
    this.#hasCaughtUp = false
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

  /** Nothing that is in flight may be put. What is held is not in doubt. */
  stopFlights(): void {
    this.#generation++
    this.#coveredGeneration = this.#generation
  }

  /** A comparison begins. It covers every doubt so far. */
  comparing(): Comparison {
    this.#coveredGeneration = this.#generation
    return { session: this.#session, generation: this.#generation, asOfMs: this.#provenOnceCaughtUpMs }
  }

  /** True while the comparison proves something: the feed has not been lost since it began. */
  isCurrent({ session }: Comparison): boolean {
    return (this.#state === 'catching-up' || this.#state === 'live') && this.#session === session
  }

  /**
   * A comparison has ended. Doubts that came up since it began are left to the next one, but what it proves is proven:
   *   1. a change that names no key arrives (doubt)    3. a probe is sent at 30 and answered
   *   2. a probe is sent at 20, and answered;          4. another such change arrives
   *      a comparison begins                           5. the comparison ends: asOf is 20, not 30
   * Everything delivered before the answer to the probe of 20 was applied, or was in doubt and has been compared. Were
   * nothing proven until no doubt is left, a role that sends such notifications without end would end all hits.
   *
   * False if it proves nothing, because the feed has been lost since it began.
   */
  compared(comparison: Comparison): boolean {
    if (this.#state !== 'catching-up' || this.#session !== comparison.session) return false
    this.#hasCaughtUp = true
    const isComplete = this.#generation === comparison.generation
    if (isComplete) this.#state = 'live'
    this.#asOfMs = Math.max(this.#asOfMs, isComplete ? this.#provenOnceCaughtUpMs : comparison.asOfMs)
    return true
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
