import type { BatchOperation } from './stats.js'

/** One statement on behalf of the requests with these origins. */
export interface TracedBatch {
  readonly operation: BatchOperation
  readonly keys: number
  readonly origins: readonly unknown[]
}

/** Connects requests with the batches that serve them, for tracing. */
export interface BatchTracer {
  /** Returns the request on whose behalf the caller runs, if it is traced. Called when an item is added to a batch. */
  origin(): unknown
  /** Runs the statement of a batch. */
  batch<T>(batch: TracedBatch, run: () => Promise<T>): Promise<T>
}
