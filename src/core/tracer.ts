import type { BatchOperation } from './stats.js'

/** Follows requests into the batches that serve them, where somebody wants to see that. */
export interface BatchTracer {
  /** The request on whose behalf the caller runs; asked for when an item is added. */
  origin(): unknown
  /** Runs the one statement that serves these requests. */
  batch<T>(operation: BatchOperation, origins: readonly unknown[], run: () => Promise<T>): Promise<T>
}
