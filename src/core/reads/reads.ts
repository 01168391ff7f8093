import type { BindingReads } from '../bindings/binding-reads.js'
import type { Entry, PendingWrite } from '../entry.js'
import { type CacheErrorCode, hasCode, passingErrors } from '../errors.js'
import type { Idleness } from '../feed/idleness.js'
import type { Clock } from '../ports.js'
import type { CacheState } from '../state/cache-state.js'
import type { NegativeEntry } from '../state/negative-entries.js'
import type { SessionToken } from '../state/session-token.js'
import type { Stats } from '../stats.js'
import { type PendingWrites, pendingValue } from '../writes/pending-writes.js'
import type { Fills, ReadBatcher } from './fills.js'
import { expiresInMs, type Forwarded, type ReadOptions, type ReadResult } from './read-result.js'

export interface ReadsParts {
  readonly state: CacheState
  readonly pending: PendingWrites
  readonly fills: Fills
  readonly idleness: Idleness
  readonly bindingReads: BindingReads
  readonly clock: Clock
  readonly stats: Stats
  readonly onFeedLoss: 'bypass' | 'stale'
}

/** Errors of the store after which a default read is answered from memory, marked stale, if possible. */
const answersFromMemory: readonly CacheErrorCode[] = [
  ...passingErrors,
  'store-busy',
  'store-failed',
  'row-locked',
  'store-locked',
]

/** Reads: from memory if that is fresh enough for the reader, otherwise by a fill. */
export class Reads {
  readonly #parts: ReadsParts

  constructor(parts: ReadsParts) {
    this.#parts = parts
  }

  /** Returns what memory alone can answer; undefined if the store has to be asked. */
  recall(id: string, { strong, token }: ReadOptions, nowMs: number): ReadResult | undefined {
    const { state, pending, idleness, onFeedLoss } = this.#parts
    if (strong || !state.satisfies(token, id)) return undefined
    const hit = state.hit(id, nowMs)
    if (hit) return this.#fromMemory(hit)
    const absence = state.negativeHit(id, nowMs)
    if (absence) return this.#fromAbsence(absence)
    const kept = pending.get(id)
    if (kept) return this.#fromPending(kept, nowMs)
    // After a rest, the database is not known to be unavailable, so it is asked.
    const mayBeStale = onFeedLoss === 'stale' && !idleness.isUnproven
    const usable = mayBeStale ? state.entries.usable(id, nowMs) : undefined
    return usable && this.#fromMemory(usable, 'unproven')
  }

  /**
   * Reads a key that memory alone cannot answer. Rejects with a CacheError if the store does not answer and memory may
   * not do so instead. `batcher` is the one of a request for many keys.
   */
  ask(
    id: string,
    key: string,
    { strong, token }: ReadOptions,
    nowMs: number,
    batcher?: ReadBatcher,
  ): Promise<ReadResult> {
    const { state, pending, fills, bindingReads, clock } = this.#parts
    const entry = state.entries.held(id)
    const usable = entry && entry.expiresAtMs > nowMs ? entry : undefined
    const requested = strong || !state.satisfies(token, id)
    const count = bindingReads.of(key)
    if (count) count.misses++
    const forwarded = this.#miss(requested, entry, usable)
    const reading = fills.read({ id, key, entry, forwarded }, nowMs, batcher)
    return this.#remembered(reading, token, id).catch((error: unknown) => {
      if (requested || !hasCode(error, ...answersFromMemory)) throw error
      // A write that has become pending meanwhile is the latest known; an entry that was dropped meanwhile is known to
      // be outdated.
      const kept = pending.get(id)
      if (kept) return this.#fromPending(kept, clock.now())
      if (usable && state.entries.usable(id, clock.now()) === usable)
        return this.#fromMemory(usable, 'unproven')
      throw error
    })
  }

  /**
   * Fills a key for the warm-up, under the rules of every fill (P3). Resolves to true if it was put. Rejects like
   * `ask`.
   */
  async warm(id: string, key: string, nowMs: number): Promise<boolean> {
    const { state, fills, stats } = this.#parts
    const isRead = state.joinable(id, Number.NEGATIVE_INFINITY) !== undefined
    if (isRead || state.entries.usable(id, nowMs)) return false
    const entry = state.entries.held(id)
    const { stored } = await fills.read({ id, key, entry, forwarded: 'miss', isWarmUp: true }, nowMs)
    if (!stored) return false
    stats.warmed++
    return true
  }

  #miss(requested: boolean, entry: Entry | undefined, usable: Entry | undefined): Forwarded {
    const { stats } = this.#parts
    if (requested) {
      stats.missesRequested++
      return 'request'
    }
    if (entry === undefined) {
      stats.missesAbsent++
      return 'miss'
    }
    if (usable) stats.missesUnproven++
    else stats.missesExpired++
    return 'stale'
  }

  /**
   * Remembers the token of a read that was sent to the store. The answer satisfies the token, whatever its version, and
   * so do later ones (P11).
   */
  #remembered(
    reading: Promise<ReadResult>,
    token: SessionToken | undefined,
    id: string,
  ): Promise<ReadResult> {
    if (token === undefined) return reading
    return reading.then((read) => {
      if (read.forwarded === 'request' && read.stored) this.#parts.state.remember(token, id)
      return read
    })
  }

  #fromMemory(entry: Entry, stale?: 'unproven'): ReadResult {
    const { clock, stats } = this.#parts
    const nowMs = clock.now()
    if (stale) stats.staleServed++
    return {
      value: entry.value,
      mediaType: entry.mediaType,
      written: entry,
      ageMs: nowMs - entry.asOfMs,
      ttlMs: entry.expiresAtMs - nowMs,
      expiresInMs: expiresInMs(entry, nowMs),
      ...(stale && { stale }),
    }
  }

  #fromAbsence({ asOfMs, expiresAtMs, latestExpiryMs }: NegativeEntry): ReadResult {
    const nowMs = this.#parts.clock.now()
    const expiresInMs = latestExpiryMs === Number.POSITIVE_INFINITY ? undefined : latestExpiryMs - nowMs
    return { value: undefined, ageMs: nowMs - asOfMs, ttlMs: expiresAtMs - nowMs, expiresInMs }
  }

  /** Returns what a pending write leaves. Once it has expired, there is no entry, as after a delete. */
  #fromPending(write: PendingWrite, nowMs: number): ReadResult {
    this.#parts.stats.staleServed++
    const value = pendingValue(write, nowMs)
    const expiresInMs = write.expiresAtMs === undefined ? undefined : write.expiresAtMs - nowMs
    return { value, mediaType: write.mediaType, stale: 'kept', ageMs: 0, expiresInMs }
  }
}
