import type { BatchedStore } from '../batching/batched-store.js'
import type { Value, Written } from '../entry.js'
import { CacheError, hasCode, passingErrors } from '../errors.js'
import type { CacheState } from '../state/cache-state.js'
import type { DatabasePosition } from '../state/database-position.js'
import type { Flight } from '../state/flights.js'
import { formatToken } from '../state/session-token.js'
import type { Stats } from '../stats.js'
import type { Delivery } from './delivery.js'
import type { PendingWrites } from './pending-writes.js'
import type { DeleteResult, WriteResult } from './write-result.js'

export interface DirectWritesParts {
  readonly state: CacheState
  readonly position: DatabasePosition
  readonly pending: PendingWrites
  readonly delivery: Delivery
  readonly statements: BatchedStore
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
  async set(id: string, key: string, value: Value, nowMs: number): Promise<WriteResult> {
    const { state, delivery, statements } = this.#parts
    const flight = state.open(id, nowMs)
    try {
      const { sent, answer: written } = await delivery.inOrder(id, () => statements.write.add({ key, value }))
      if (written === undefined) {
        state.apply(id, undefined)
        throw new CacheError(
          'not-stored',
          'the database did not store the entry under this key: a trigger or rule',
        )
      }
      this.#acknowledged(flight, written)
      if (written.isAsSent) state.put(flight, { key, value: sent.value, isComparable: true, ...written })
      return { written: true, token: formatToken(id, written) }
    } catch (error) {
      this.#keepOrThrow(id, key, value, error)
      return { written: false }
    } finally {
      state.close(flight)
    }
  }

  /** Deletes an entry. Rejects with a CacheError if it is neither deleted nor kept. */
  async delete(id: string, key: string, nowMs: number): Promise<DeleteResult> {
    const { state, pending, delivery, statements } = this.#parts
    const kept = pending.get(id)
    const held = kept ? kept.value !== undefined : state.entries.usable(id, nowMs) !== undefined
    const flight = state.open(id, nowMs)
    const item = { key }
    try {
      const { sent, answer } = await delivery.inOrder(id, () => statements.remove.add(item))
      const written = answer?.version === undefined ? undefined : answer
      if (answer) state.observe(answer.epoch, flight)
      this.#acknowledged(flight, written)
      if (written?.isAsSent) state.putAbsence(flight, key, written.epoch)
      return { held, stored: written !== undefined && sent === item, token: formatToken(id, written) }
    } catch (error) {
      this.#keepOrThrow(id, key, undefined, error)
      return { held, stored: false, token: undefined }
    } finally {
      state.close(flight)
    }
  }

  #acknowledged(flight: Flight, written: Written | undefined): void {
    const { state, delivery } = this.#parts
    state.acknowledged(flight, written)
    delivery.drop(flight.id)
    delivery.inContact()
  }

  /**
   * Keeps a write that has certainly not happened, if the options and the error allow it. Throws any other error to the
   * caller.
   */
  #keepOrThrow(id: string, key: string, value: Value | undefined, error: unknown): void {
    const { state, position, pending, stats, onWriteOutage } = this.#parts
    const { epoch } = position
    if (hasCode(error, 'outcome-unknown')) {
      stats.writesUnknown++
      pending.sentInVain(id, value, state.baseOf(id), epoch)
      state.doubtWrite(id)
    }
    const willPass = hasCode(error, ...passingErrors)
    if (!willPass || onWriteOutage === 'reject') throw error
    const base = state.baseOf(id)
    if (!pending.keep(id, { key, value, base, epoch, mayHaveHappened: false, outcomes: [] })) {
      throw new CacheError('store-unavailable', 'the database is unavailable, and no write can be kept', {
        cause: error,
      })
    }
    state.apply(id, undefined)
  }
}
