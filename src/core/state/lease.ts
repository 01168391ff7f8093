/**
 * State of the change feed.
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
 * `down`: changes may be missed. `idle`: changes may be missed, because nobody has needed the cache for a while.
 * `catching-up`: changes arrive, but what happened before has not been compared yet. `live`: nothing is missing.
 *
 * The state does not decide whether a hit may be served. That depends on `asOf` alone: everything acknowledged before
 * that moment has been applied here, and that stays true when the feed is lost (P7).
 */
export type FeedState = 'down' | 'idle' | 'catching-up' | 'live'

/** A comparison of all entries with the store, and the moment that it will prove when it has ended. */
export interface Comparison {
  readonly session: number
  readonly generation: number
  readonly asOfMs: number
  readonly outboxAsOfMs: number
}

export class Lease {
  readonly #maxStalenessMs: number
  #state: FeedState = 'down'
  #session = 0
  #generation = 0
  #coveredGeneration = 0
  #hasCaughtUp = false
  #asOfMs = Number.NEGATIVE_INFINITY
  /** Latest moment that will be proven as soon as the cache has caught up, unless a later one is proven already. */
  #provenOnceCaughtUpMs = Number.NEGATIVE_INFINITY
  /** The same for keys whose changes are announced through the outbox (P17). */
  #outboxAsOfMs = Number.NEGATIVE_INFINITY
  #outboxProvenOnceCaughtUpMs = Number.NEGATIVE_INFINITY

  constructor(maxStalenessMs: number) {
    this.#maxStalenessMs = maxStalenessMs
  }

  get state(): FeedState {
    return this.#state
  }

  /** Number of times that changes may have been missed. A result from an earlier generation proves nothing. */
  get generation(): number {
    return this.#generation
  }

  /** True if a fill that begins now may put: the feed is listening, and has caught up once in this session. */
  get mayPut(): boolean {
    return this.#hasCaughtUp
  }

  /**
   * The generation that the last comparison covers. A flight that was open when a doubt came up may still put until the
   * comparison that covers the doubt begins, because that comparison will check the entry. After that, nothing would
   * check it:
   *
   *   1. A fill begins and reads the old value.
   *   2. A change that names no key arrives.
   *   3. A comparison begins: the entry is not held yet.
   *   4. The fill puts the old value. The comparison ends and proves the moment of step 2.
   */
  get coveredGeneration(): number {
    return this.#coveredGeneration
  }

  /** Moment before which everything acknowledged has been applied here. */
  get asOfMs(): number {
    return this.#asOfMs
  }

  /** Returns true if an entry may be served from memory as fresh at this moment. */
  holds(nowMs: number): boolean {
    return nowMs - this.#asOfMs <= this.#maxStalenessMs
  }

  /**
   * Returns true if this may also be done with an entry whose changes are announced through the outbox. A drain that is
   * late costs no hits of other entries.
   */
  outboxHolds(nowMs: number): boolean {
    return nowMs - this.#outboxAsOfMs <= this.#maxStalenessMs
  }

  /** Returns the time since the last proven moment, in ms; `Infinity` before the first. */
  ageMs(nowMs: number): number {
    return nowMs - this.#asOfMs
  }

  /** Returns the time since the last moment that was proven for the outbox, like `ageMs`. */
  outboxAgeMs(nowMs: number): number {
    return nowMs - this.#outboxAsOfMs
  }

  lost(): void {
    this.#end('down')
  }

  /** Stops proving anything, as if the feed were lost. The lease runs out by itself. */
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

  /**
   * Starts catching up: LISTEN was acknowledged at `asOfMs`. The comparison reads everything after that, whatever is
   * still in the outbox.
   */
  listening(asOfMs: number): void {
    this.#state = 'catching-up'
    this.#hasCaughtUp = false
    this.#provenOnceCaughtUpMs = asOfMs
    this.#outboxProvenOnceCaughtUpMs = asOfMs
  }

  /** Records a doubt: the feed is connected, but changes came that could not be applied one by one. */
  doubt(): void {
    this.#generation++
    if (this.#state === 'live') this.#state = 'catching-up'
  }

  /** Prevents all flights from putting. Entries that are held are not in doubt. */
  stopFlights(): void {
    this.#generation++
    this.#coveredGeneration = this.#generation
  }

  /** Starts a comparison, which covers every doubt so far. */
  comparing(): Comparison {
    this.#coveredGeneration = this.#generation
    return {
      session: this.#session,
      generation: this.#generation,
      asOfMs: this.#provenOnceCaughtUpMs,
      outboxAsOfMs: this.#outboxProvenOnceCaughtUpMs,
    }
  }

  /** Returns true while the comparison can prove something: the feed has not been lost since it began. */
  isCurrent({ session }: Comparison): boolean {
    return (this.#state === 'catching-up' || this.#state === 'live') && this.#session === session
  }

  /**
   * Ends a comparison. Doubts that came up since it began are left to the next one, but the comparison still counts:
   *
   *   1. A change that names no key arrives (a doubt).
   *   2. A probe is sent at 20 and answered. A comparison begins.
   *   3. A probe is sent at 30 and answered.
   *   4. Another such change arrives.
   *   5. The comparison ends: `asOf` becomes 20, not 30.
   *
   * Everything delivered before the answer to the probe of 20 was applied, or was in doubt and has been compared. If
   * nothing were proven until no doubt is left, a role that keeps sending such notifications would prevent all hits.
   *
   * Returns false if the comparison proves nothing, because the feed has been lost since it began.
   */
  compared(comparison: Comparison): boolean {
    if (this.#state !== 'catching-up' || this.#session !== comparison.session) return false
    this.#hasCaughtUp = true
    const isComplete = this.#generation === comparison.generation
    if (isComplete) this.#state = 'live'
    const { asOfMs, outboxAsOfMs } = isComplete
      ? { asOfMs: this.#provenOnceCaughtUpMs, outboxAsOfMs: this.#outboxProvenOnceCaughtUpMs }
      : comparison
    this.#asOfMs = Math.max(this.#asOfMs, asOfMs)
    this.#outboxAsOfMs = Math.max(this.#outboxAsOfMs, outboxAsOfMs)
    return true
  }

  /**
   * Records that a probe *sent* at `asOfMs` has been answered (P7). The time at which the answer is read would be
   * wrong:
   *
   *   1. The sidecar sends the probe.
   *   2. The server answers it.
   *   3. Another client's write is acknowledged.
   *   4. The sidecar reads the answer, late.
   *
   * The answer says nothing about step 3. A change that arrives must not renew the lease either: it says nothing about
   * changes that are still on their way.
   *
   * `drainedMs` is the moment at which a drain of the outbox was sent that had been answered before the probe was sent
   * (P17).
   */
  proven(asOfMs: number, drainedMs = Number.NEGATIVE_INFINITY): void {
    if (this.#state === 'live') {
      this.#asOfMs = Math.max(this.#asOfMs, asOfMs)
      this.#outboxAsOfMs = Math.max(this.#outboxAsOfMs, drainedMs)
    } else if (this.#state === 'catching-up') {
      this.#provenOnceCaughtUpMs = Math.max(this.#provenOnceCaughtUpMs, asOfMs)
      this.#outboxProvenOnceCaughtUpMs = Math.max(this.#outboxProvenOnceCaughtUpMs, drainedMs)
    }
  }
}
