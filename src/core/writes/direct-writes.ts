import type { BatchedStore } from '../batching/batched-store.js'
import type { Bindings } from '../bindings/bindings.js'
import { requireUnbound } from '../bindings/require-unbound.js'
import type { PendingWrite, Value } from '../entry.js'
import { CacheError, hasCode, passingErrors } from '../errors.js'
import type { FillContests } from '../leases/fill-contests.js'
import type { Content } from '../media-type.js'
import type { ChangeOptions, Clock, WriteOptions } from '../ports.js'
import type { Acknowledged, CacheState } from '../state/cache-state.js'
import type { DatabasePosition } from '../state/database-position.js'
import type { Flight } from '../state/flights.js'
import { formatToken } from '../state/session-token.js'
import type { Stats } from '../stats.js'
import { acknowledge } from './acknowledgement.js'
import type { Delivery } from './delivery.js'
import { type PendingWrites, pendingValue } from './pending-writes.js'
import type { ChangeResult, DeleteResult, WriteResult } from './write-result.js'

export interface DirectWritesParts {
  readonly state: CacheState
  readonly position: DatabasePosition
  readonly pending: PendingWrites
  readonly delivery: Delivery
  readonly statements: BatchedStore
  readonly contests: Pick<FillContests, 'refusedFill'>
  readonly bindings: Bindings
  readonly clock: Clock
  readonly stats: Stats
  readonly onWriteOutage: 'local' | 'reject'
}

/** Sets and deletes: to the store first, then to memory; kept as pending writes while the database is unavailable. */
export class DirectWrites {
  readonly #parts: DirectWritesParts

  constructor(parts: DirectWritesParts) {
    this.#parts = parts
  }

  /** Writes an entry through. Rejects with a CacheError if it is neither written nor kept. */
  async set(
    id: string,
    key: string,
    value: Value,
    { ttlMs, groups }: WriteOptions,
    nowMs: number,
  ): Promise<WriteResult> {
    const { state, delivery, statements, bindings, clock } = this.#parts
    requireUnbound(bindings, key)
    const expiresAtMs = ttlMs === undefined ? undefined : nowMs + ttlMs
    const flight = state.open(id, nowMs)
    try {
      const { sent, answer: written } = await delivery.inOrder(id, () =>
        statements.write.add({ key, value, ttlMs, groups }),
      )
      if (written === undefined) throw this.#notStored(id)
      this.#acknowledged(flight, written)
      const { version, epoch, remainingMs, isAsSent } = written
      if (isAsSent)
        state.put(flight, { key, value: sent.value, version, epoch, remainingMs, isComparable: true })
      const expiresInMs = remainingMs === undefined ? undefined : nowMs + remainingMs - clock.now()
      return { written: true, token: formatToken(id, written), expiresInMs }
    } catch (error) {
      this.#keepOrThrow(id, key, { value, expiresAtMs, groups }, error)
      return {
        written: false,
        expiresInMs: expiresAtMs === undefined ? undefined : expiresAtMs - clock.now(),
      }
    } finally {
      state.close(flight)
    }
  }

  /** Deletes an entry. Rejects with a CacheError if it is neither deleted nor kept. */
  async delete(id: string, key: string, nowMs: number): Promise<DeleteResult> {
    const { state, pending, delivery, statements, bindings } = this.#parts
    requireUnbound(bindings, key)
    const kept = pending.get(id)
    const held = kept
      ? pendingValue(kept, nowMs) !== undefined
      : state.entries.usable(id, nowMs) !== undefined
    const flight = state.open(id, nowMs)
    const item = { key }
    try {
      const { sent, answer } = await delivery.inOrder(id, () => statements.remove.add(item))
      if (answer?.version === undefined && answer?.isLeftIn) throw this.#notStored(id)
      const written = answer?.version === undefined ? undefined : answer
      if (answer) state.observe(answer.epoch, flight)
      this.#acknowledged(flight, written)
      if (written?.isAsSent) state.putAbsence(flight, key, written)
      return { held, stored: written !== undefined && sent === item, token: formatToken(id, written) }
    } catch (error) {
      this.#keepOrThrow(id, key, { value: undefined }, error)
      return { held, stored: false, token: undefined }
    } finally {
      state.close(flight)
    }
  }

  /**
   * Writes an entry through, or without a content deletes it, if the condition holds. The store decides about the
   * condition, and tells whether there was an entry. Rejects with a CacheError if that was not possible. A write with a
   * condition, or with a lease, is never kept: its client has to know whether the condition held.
   *
   * A pending write of the key is older, and has to be in the store when the condition is decided:
   *
   *   1. A client reads tag 7.                       3. The database is back.
   *   2. Another client's write is kept here.        4. The first client writes if the tag is 7.
   *
   * In step 4 the row still has tag 7, but the write of step 2 has been accepted before, and would be lost.
   */
  async change(
    id: string,
    key: string,
    content: Content | undefined,
    { condition, lease, ttlMs, groups }: ChangeOptions,
    nowMs: number,
  ): Promise<ChangeResult> {
    const { state, delivery, statements, contests, bindings, clock } = this.#parts
    requireUnbound(bindings, key)
    const isDecided = condition !== undefined || lease !== undefined
    if (isDecided) await delivery.finish(id)
    const flight = state.open(id, nowMs)
    const { value, mediaType } = content ?? { value: undefined }
    const expiresAtMs = ttlMs === undefined ? undefined : clock.now() + ttlMs
    const write = { key, value, mediaType, ttlMs, groups, lease, condition: condition ?? {} }
    const send = () => statements.writeIf(write)
    try {
      const answer = await (isDecided ? send() : delivery.inOrder(id, send))
      const { epoch, before, isMet, refusal, written } = answer
      if (!isMet) {
        state.observe(epoch, flight)
        delivery.inContact()
        // The next read must not return what the condition was about.
        state.apply(id, before)
        if (refusal) contests.refusedFill(id)
        return { kind: 'unmet', refusal }
      }
      if (written === undefined && (content || before !== undefined)) {
        if (lease !== undefined) contests.refusedFill(id)
        throw this.#notStored(id)
      }
      state.observe(epoch, flight)
      // A write that was kept while one with a condition was in flight is a later one.
      if (!isDecided) delivery.drop(id)
      const result = acknowledge(state, flight, write, answer)
      delivery.inContact()
      return result
    } catch (error) {
      this.#keepOrThrow(id, key, { value, mediaType, expiresAtMs, groups }, error, !isDecided)
      return { kind: 'kept' }
    } finally {
      state.close(flight)
    }
  }

  #notStored(id: string): CacheError {
    this.#parts.state.apply(id, undefined)
    return new CacheError(
      'not-stored',
      'the database did not store the entry under this key: a trigger or rule',
    )
  }

  #acknowledged(flight: Flight, written: Acknowledged | undefined): void {
    const { state, delivery } = this.#parts
    state.acknowledged(flight, written)
    delivery.drop(flight.id)
    delivery.inContact()
  }

  /**
   * Keeps a write that has certainly not happened, if the options and the error allow it. Throws any other error to the
   * caller.
   */
  #keepOrThrow(
    id: string,
    key: string,
    write: Pick<PendingWrite, 'value' | 'mediaType' | 'expiresAtMs' | 'groups'>,
    error: unknown,
    mayBeKept = true,
  ): void {
    const { state, position, pending, stats, onWriteOutage } = this.#parts
    const { epoch } = position
    if (hasCode(error, 'outcome-unknown')) {
      stats.writesUnknown++
      pending.sentInVain(id, { ...write, base: state.baseOf(id), epoch })
      state.doubtWrite(id)
    }
    const willPass = hasCode(error, ...passingErrors)
    if (!willPass || !mayBeKept || onWriteOutage === 'reject') throw error
    const base = state.baseOf(id)
    if (!pending.keep(id, { key, ...write, base, epoch, mayHaveHappened: false, outcomes: [] })) {
      throw new CacheError('store-unavailable', 'the database is unavailable, and no write can be kept', {
        cause: error,
      })
    }
    state.apply(id, undefined)
  }
}
