import { CacheError, type CacheErrorCode } from '../errors.js'
import type { BatchOperation } from '../stats.js'

/** Statements of one kind that fail, and with which error. */
export interface StoreFault {
  readonly operation: BatchOperation
  readonly code: CacheErrorCode
}

interface Streak {
  failures: number
  code: CacheErrorCode
  lastMs: number
}

/** So many failures in a row are a fault; one alone may be a restart, or a row. */
const failuresInARow = 3
/** Without further requests nobody knows. */
const rememberedMs = 15_000

/** Errors that say something about the store, and not about one row. */
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
 * How the statements of requests have fared. The change feed has a connection of its own, which can be live while the pool
 * gets no connection, or while no write commits.
 */
export class StoreHealth {
  readonly #streaks = new Map<BatchOperation, Streak>()

  /** Takes the results of one batch. A single success ends the streak. */
  observe(operation: BatchOperation, results: readonly PromiseSettledResult<unknown>[], nowMs: number): void {
    const isFault = results.length > 0 && results.every((result) => faultIn(result) !== undefined)
    const code = isFault ? faultIn(results[0] as PromiseSettledResult<unknown>) : undefined
    if (code === undefined) {
      this.#streaks.delete(operation)
      return
    }
    const failures = (this.#streaks.get(operation)?.failures ?? 0) + 1
    this.#streaks.set(operation, { failures, code, lastMs: nowMs })
  }

  /** Statements of this kind go through, if not those of requests. */
  succeeded(operation: BatchOperation): void {
    this.#streaks.delete(operation)
  }

  faults(nowMs: number): readonly StoreFault[] {
    return [...this.#streaks]
      .filter(([, { failures, lastMs }]) => failures >= failuresInARow && nowMs - lastMs <= rememberedMs)
      .map(([operation, { code }]) => ({ operation, code }))
  }
}

function faultIn(result: PromiseSettledResult<unknown>): CacheErrorCode | undefined {
  if (result.status === 'fulfilled' || !(result.reason instanceof CacheError)) return undefined
  return ofTheStore.has(result.reason.code) ? result.reason.code : undefined
}
