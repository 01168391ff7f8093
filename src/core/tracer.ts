import type { BatchOperation } from './stats.js'

/** One statement for the requests of these origins. */
export interface TracedBatch {
  readonly operation: BatchOperation
  readonly keys: number
  readonly origins: readonly unknown[]
}

/** Follows requests into the batches that serve them, where somebody wants to see that. */
export interface BatchTracer {
  /** The request on whose behalf the caller runs, if one is followed; asked for when an item is added. */
  origin(): unknown
  /** Runs the statement of a batch. */
  batch<T>(batch: TracedBatch, run: () => Promise<T>): Promise<T>
}
