import { CacheError, type CacheErrorCode, hasCode } from '../errors.js'
import type { BatchOperation } from '../stats.js'

/** A kind of statement that keeps failing, and its last error. */
export interface StoreFault {
  readonly operation: BatchOperation
  readonly code: CacheErrorCode
}

interface Streak {
  failures: number
  code: CacheErrorCode
  lastMs: number
}

/** Number of failures in a row that counts as a fault. A single failure may be a restart, or a problem of one row. */
const failuresInARow = 3
/** Time after which a fault is forgotten if no further request confirms it. */
const rememberedMs = 15_000

/** Errors that concern the store, and not one row. */
const ofTheStore: ReadonlySet<CacheErrorCode> = new Set([
  'store-unavailable',
  'login-refused',
  'store-suspended',
  'store-not-ready',
  'store-busy',
  'store-failed',
  'store-locked',
  'queue-full',
  'outcome-unknown',
  'forbidden',
])

/**
 * Tracks whether the statements of requests succeed. The change feed has its own connection, so it can be live while
 * the pool gets no connection, or while no write commits.
 */
export class StoreHealth {
  readonly #streaks = new Map<BatchOperation, Streak>()

  /**
   * Records the results of one batch, if it has any. A single success ends the streak of failures. A locked row starts
   * none, but goes on with one: where commits hang, the next write of a key finds the row locked by the one before it.
   */
  observe(operation: BatchOperation, results: readonly PromiseSettledResult<unknown>[], nowMs: number): void {
    if (results.length === 0) return
    const streak = this.#streaks.get(operation)
    const code = results.map(faultIn).find((fault) => fault !== undefined) ?? streak?.code
    const hasFailed = results.every((result) => faultIn(result) !== undefined || isRowLocked(result))
    if (!hasFailed) this.#streaks.delete(operation)
    else if (code)
      this.#streaks.set(operation, { failures: (streak?.failures ?? 0) + 1, code, lastMs: nowMs })
  }

  /** Records that a statement of this kind has succeeded outside of the batches of requests. */
  succeeded(operation: BatchOperation): void {
    this.#streaks.delete(operation)
  }

  faults(nowMs: number): readonly StoreFault[] {
    return [...this.#streaks]
      .filter(([, { failures, lastMs }]) => failures >= failuresInARow && nowMs - lastMs <= rememberedMs)
      .map(([operation, { code }]) => ({ operation, code }))
  }
}

function isRowLocked(result: PromiseSettledResult<unknown>): boolean {
  return result.status === 'rejected' && hasCode(result.reason, 'row-locked')
}

function faultIn(result: PromiseSettledResult<unknown>): CacheErrorCode | undefined {
  if (result.status === 'fulfilled' || !(result.reason instanceof CacheError)) return undefined
  return ofTheStore.has(result.reason.code) ? result.reason.code : undefined
}
