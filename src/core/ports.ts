import type { Change, Epoch, KeptWrite, StoredEntry, Unchanged, Value, Version, Written } from './entry.js'

/** What `core/` needs from outside. */

export interface Clock {
  /** Monotonic, in ms, unaffected by changes of the wall clock. */
  now(): number
  /** Runs `task` once, after the events that are ready now have been handled. */
  defer(task: () => void): void
}

/** A key to be read, and what the reader holds of it. */
export interface Wanted {
  readonly key: string
  readonly held?: Written | undefined
}

export interface Write {
  readonly key: string
  readonly value: Value
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
  /**
   * The entries there are; a key without one is missing from the answer. Where the reader holds the very
   * version that the store has, in the same epoch, the value does not travel.
   */
  read(wanted: readonly Wanted[]): Promise<ReadonlyMap<string, StoredEntry | Unchanged>>
  /** The versions there are in this epoch, straight from the primary; none when the primary's is another. */
  versions(keys: readonly string[], epoch: Epoch): Promise<ReadonlyMap<string, Version>>
  /** Inserts or replaces; the answer has every key. */
  write(writes: readonly Write[]): Promise<ReadonlyMap<string, Written>>
  /** Deletes; the answer has the keys that were there, with the version of their absence. */
  remove(keys: readonly string[]): Promise<ReadonlyMap<string, Written>>
  position(): Promise<Position>
  /** Sends kept writes, each only in this epoch and where the row has not changed since its base (P9). */
  settle(writes: readonly KeptWrite[], epoch: Epoch): Promise<ReadonlyMap<string, Settlement>>
}

/** A place in the primary's log, which grows. */
export interface LogPosition {
  readonly epoch: Epoch
  readonly bytes: bigint
}

/** What a replica has under a key: maybe nothing. */
export interface ReplicaAnswer {
  readonly entry: StoredEntry | Unchanged | undefined
}

/** A copy of the store that may be behind (P13). */
export interface Replica {
  /**
   * Resolves to a position behind everything that was committed before this call, once the replica has replayed it.
   * Rejects when that takes too long, or one of the two is not reached.
   */
  catchUp(): Promise<LogPosition>
  /**
   * As the store's, by a server that had replayed the position before; rejects when it had not. A key that is missing
   * from the answer has an entry that expires: the store's clock decides when.
   */
  read(wanted: readonly Wanted[], position: LogPosition): Promise<ReadonlyMap<string, ReplicaAnswer>>
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
  /**
   * Everything acknowledged before `asOfMs` has been delivered. Throws when that cannot be: the feed then gives
   * the connection up. As for `listening` where it returns a promise.
   */
  proven(asOfMs: number): Promise<void> | undefined
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
