import type { Change, Epoch, KeptWrite, StoredEntry, Value, Version } from './entry.js'

/** What `core/` needs from outside. */

export interface Clock {
  /** Monotonic, in ms, unaffected by changes of the wall clock. */
  now(): number
  /** Runs `task` once, after the events that are ready now have been handled. */
  defer(task: () => void): void
}

/** Where the database stands. */
export interface Position {
  readonly epoch: Epoch
  /** The highest version handed out so far. */
  readonly latest: bigint
}

/** How a kept write ended: written with this version, or the row had changed and stays as it is. */
export type Settlement =
  | { readonly kind: 'written'; readonly version: Version | undefined }
  | { readonly kind: 'conflict' }

/**
 * The system of record. Every method answers for a set of keys, each named once, and rejects with a
 * CacheError within the store's time bound. One call is one statement: it happens for all its keys or for
 * none of them.
 */
export interface Store {
  /** The entries there are; a key without one is missing from the answer. */
  read(keys: readonly string[]): Promise<ReadonlyMap<string, StoredEntry>>
  /** The versions there are, straight from the primary. */
  versions(keys: readonly string[]): Promise<ReadonlyMap<string, Version>>
  /** Inserts or replaces; the answer has the version of every key. */
  write(
    writes: readonly { readonly key: string; readonly value: Value }[],
  ): Promise<ReadonlyMap<string, Version>>
  /** Deletes; the answer has the keys that were there. */
  remove(keys: readonly string[]): Promise<ReadonlySet<string>>
  position(): Promise<Position>
  /** Sends kept writes, each only where the row has not changed since its base (P9). */
  settle(writes: readonly KeptWrite[]): Promise<ReadonlyMap<string, Settlement>>
}

/**
 * What a change feed calls, in this order: `listening`, then `proven` and `changed` any number of times,
 * then `lost`, and from the start again. Changes come in commit order.
 */
export interface ChangeFeedHandler {
  /**
   * Changes committed from `asOfMs` (monotonic) on will be delivered. Resolves once the cache has caught up
   * with what happened before; when it rejects, the feed gives the connection up and starts again.
   */
  listening(asOfMs: number): Promise<void>
  /** Everything acknowledged before `asOfMs` has been delivered. */
  proven(asOfMs: number): void
  /** As for `listening` where it returns a promise. */
  changed(change: Change): Promise<void> | undefined
  lost(reason: string): void
}

export interface ChangeFeed {
  /** Connects and stays connected, by itself, until `close`. Resolves after the first attempt, good or bad. */
  start(handler: ChangeFeedHandler): Promise<void>
  /** Idempotent; nothing is called afterwards. */
  close(): Promise<void>
}

/** Where the algorithm reports what an operator should see. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}
