import type {
  Absent,
  Change,
  Epoch,
  Mark,
  PendingWrite,
  StoredEntry,
  Transaction,
  Unchanged,
  Value,
  Version,
  Withheld,
  Written,
} from './entry.js'

/** What `core/` needs from outside. */

export interface Clock {
  /** Monotonic, in ms. Counts the time that the machine was suspended, too: a lease must not outlive it. */
  now(): number
  /** Runs `task` once, after the events that are ready now have been handled. */
  defer(task: () => void): void
}

/** An entry in the reader's memory. */
export interface Held extends Written {
  readonly value: Value
}

/** A key to be read, and what the reader holds of it. */
export interface Wanted {
  readonly key: string
  readonly held?: Held | undefined
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

/** An acknowledged write. */
export interface WriteAnswer extends Written {
  /** How long the row will be there, in ms; undefined for ever (P12). */
  readonly remainingMs: number | undefined
  /** True if what is stored is what was sent: the table has no triggers but ours. */
  readonly isAsSent: boolean
}

/** How a pending write ended: written (undefined: deleted, or nothing to delete), or the row had changed and stays as it is. */
export type Settlement =
  | { readonly kind: 'written'; readonly written: Written | undefined }
  | { readonly kind: 'conflict' }

/** `unknown`: the database does not know the transaction, or has another history. */
export type TransactionOutcome =
  | 'in-progress'
  | 'aborted'
  | 'unknown'
  | { readonly settlements: ReadonlyMap<string, Settlement> }

/** A mark that the database has now, and the highest version that it had handed out before. */
export interface MarkAnswer {
  readonly mark: Mark
  readonly latest: bigint
}

/**
 * A part of a batch whose statement has failed. It is sent once: where that fails, its halves are the next attempt, or its one
 * item by itself.
 */
export interface BatchPart {
  /** Longest time that the server may take for it; if missing, as long as for every statement. */
  readonly withinMs?: number
}

/**
 * The system of record. Every method answers for a set of keys, each named once, and rejects with a
 * CacheError within the store's time bound. One call is one statement: it happens for all its keys or for
 * none of them.
 */
export interface Store {
  /**
   * Answers for every key. Where the reader holds the very version and value that the store has, in the same epoch, the value
   * does not travel. Nor does a value that takes too much memory, alone or together with those before it. At least one value
   * travels unless all are too large.
   */
  read(
    wanted: readonly Wanted[],
    part?: BatchPart,
  ): Promise<ReadonlyMap<string, StoredEntry | Unchanged | Withheld | Absent>>
  /** The versions there are in this epoch, straight from the primary; none when the primary's is another. */
  versions(keys: readonly string[], epoch: Epoch): Promise<ReadonlyMap<string, Version>>
  /** Inserts or replaces. A key is missing from the answer if the database has left the entry out or renamed it. */
  write(writes: readonly Write[], part?: BatchPart): Promise<ReadonlyMap<string, WriteAnswer>>
  /** Deletes; the answer has the version of the absence of the keys that were there. */
  remove(keys: readonly string[], part?: BatchPart): Promise<ReadonlyMap<string, Written | Absent>>
  /** Which of these keys have a row that another transaction has locked. */
  lockedOf(keys: readonly string[]): Promise<ReadonlySet<string>>
  /** `hasMark` is true if the database has this mark, or none was asked for. */
  position(mark?: Mark): Promise<Position & { readonly hasMark: boolean }>
  /** Leaves a mark, unless there is one that will do: nothing has been written since, or it is a few seconds old. */
  mark(): Promise<MarkAnswer>
  /**
   * Sends pending writes, each only where the row has not changed since its base (P9). Calls `onBegun` before anything is written.
   * Rejects with `outcome-unknown` only if the connection is lost while the transaction commits; then `outcomeOf` tells.
   */
  settle(
    writes: readonly PendingWrite[],
    onBegun: (transaction: Transaction) => void,
  ): Promise<ReadonlyMap<string, Settlement>>
  /** Tells what became of the transaction of a `settle`, and if it was committed, of each of its writes. */
  outcomeOf(transaction: Transaction, writes: readonly PendingWrite[]): Promise<TransactionOutcome>
}

/** A place in the primary's log, which grows. */
export interface LogPosition {
  readonly epoch: Epoch
  readonly bytes: bigint
}

/** What a replica has under a key: maybe nothing. */
export interface ReplicaAnswer {
  readonly entry: StoredEntry | Unchanged | Withheld | undefined
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

/** What the database answers to a probe, on the session that listens. */
export interface Proof extends Position {
  /**
   * Another one as soon as a trigger was made, dropped, enabled or disabled, or the table was rewritten: versions may stand for
   * other values then.
   */
  readonly fingerprint: string
  /** The database's wall clock, in ms since 1970. */
  readonly databaseMs: number
}

/** One listening session. */
export interface FeedSession {
  /** Of the table as it was when the session began; see `Proof`. */
  readonly fingerprint: string
  /** Gives the session up, for a reason in words. */
  end(reason: string): void
}

/**
 * What a change feed calls, in this order: `listening`, then `proven` and `changed` any number of times,
 * then `lost` or `rest`, and from the start again. Changes come in commit order.
 */
export interface ChangeFeedHandler {
  /**
   * Changes committed from `asOfMs` (monotonic) on will be delivered. Resolves once the cache has caught up
   * with what happened before; when it rejects, the feed gives the connection up and starts again.
   */
  listening(asOfMs: number, session: FeedSession): Promise<void>
  /**
   * Everything acknowledged before `asOfMs` has been delivered. Throws when that cannot be: the feed then gives
   * the connection up. As for `listening` where it returns a promise.
   */
  proven(asOfMs: number, proof: Proof): Promise<void> | undefined
  /** As for `listening` where it returns a promise. */
  changed(change: Change): Promise<void> | undefined
  /** `shownReason` is for whoever may ask: without roles, hosts, paths and objects of the database. */
  lost(reason: string, shownReason?: string): void
  /**
   * Asked while the feed is live, between two probes. Undefined if the feed is needed. Otherwise nothing is proven from now
   * on, changes may be missed, and the promise resolves when the feed is needed again: then `listening` or `lost` is next.
   */
  rest(): Promise<void> | undefined
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
