import type { Bindings } from '../bindings/bindings.js'
import { requireUnbound } from '../bindings/require-unbound.js'
import { hasCode } from '../errors.js'
import type { ConditionalAnswer, ConditionalWrite, TransactionWriter } from '../ports.js'
import type { CacheState } from '../state/cache-state.js'
import type { DatabasePosition } from '../state/database-position.js'
import type { Flight } from '../state/flights.js'
import { keyId } from '../state/key-id.js'
import type { Stats } from '../stats.js'
import { acknowledge } from './acknowledgement.js'
import type { Delivery } from './delivery.js'
import type { PendingWrites } from './pending-writes.js'
import type { WrittenResult } from './write-result.js'

export interface TransactionalWritesParts {
  readonly writer: TransactionWriter
  readonly state: CacheState
  readonly position: DatabasePosition
  readonly pending: PendingWrites
  readonly delivery: Delivery
  readonly bindings: Bindings
  readonly stats: Stats
}

export type TransactionResult =
  /** Nothing was written, because the conditions on these keys do not hold. */
  | { readonly kind: 'unmet'; readonly keys: readonly string[] }
  /** A result for each write, in their order. */
  | { readonly kind: 'written'; readonly results: readonly WrittenResult[] }

/** Writes and deletes of several keys: all of them happen, in one transaction, or none. Nothing is kept. */
export class TransactionalWrites {
  readonly #parts: TransactionalWritesParts

  constructor(parts: TransactionalWritesParts) {
    this.#parts = parts
  }

  /** Rejects with a CacheError if nothing was written, or if the outcome is unknown. */
  async writeAll(writes: readonly ConditionalWrite[], nowMs: number): Promise<TransactionResult> {
    const { writer, state, delivery, bindings } = this.#parts
    for (const { key } of writes) requireUnbound(bindings, key)
    // A pending write of a key is older, and has to be in the store when the conditions are decided.
    for (const { key } of writes) await delivery.finish(keyId(key))
    const flights = writes.map(({ key }) => state.open(keyId(key), nowMs))
    try {
      const answers = await writer.writeAll(writes)
      for (const [index, { epoch }] of answers.entries()) state.observe(epoch, flights[index] as Flight)
      delivery.inContact()
      const keys = this.#unmet(writes, answers)
      if (keys.length > 0) return { kind: 'unmet', keys }
      const results = writes.map((write, index) =>
        acknowledge(state, flights[index] as Flight, write, answers[index] as ConditionalAnswer),
      )
      return { kind: 'written', results }
    } catch (error) {
      if (hasCode(error, 'outcome-unknown')) this.#doubt(writes, nowMs)
      throw error
    } finally {
      for (const flight of flights) state.close(flight)
    }
  }

  /** Returns the keys whose condition does not hold. The next read must not return what it was about. */
  #unmet(writes: readonly ConditionalWrite[], answers: readonly ConditionalAnswer[]): readonly string[] {
    const keys: string[] = []
    for (const [index, { isMet, before }] of answers.entries()) {
      if (isMet) continue
      const { key } = writes[index] as ConditionalWrite
      this.#parts.state.apply(keyId(key), before)
      keys.push(key)
    }
    return keys
  }

  #doubt(writes: readonly ConditionalWrite[], nowMs: number): void {
    const { state, position, pending, stats } = this.#parts
    const { epoch } = position
    for (const { key, value, mediaType, ttlMs } of writes) {
      const id = keyId(key)
      const expiresAtMs = ttlMs === undefined ? undefined : nowMs + ttlMs
      stats.writesUnknown++
      pending.sentInVain(id, { value, mediaType, base: state.baseOf(id), epoch, expiresAtMs })
      state.doubtWrite(id)
    }
  }
}
