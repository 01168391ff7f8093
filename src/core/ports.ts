import type { Binding } from './bindings/bindings.js'
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
import type { FillRefusal } from './leases/fill-leases.js'
import type { MediaType } from './media-type.js'
import type { WriteCondition } from './state/entry-tag.js'

/** Interfaces that `core/` needs from outside. */

export interface Clock {
  /**
   * Returns a monotonic time in ms. It includes the time for which the machine was suspended, because a lease must not
   * outlive it.
   */
  now(): number
  /** Runs `task` once, after the events that are ready now have been handled. */
  defer(task: () => void): void
}

/** An entry that the reader holds. */
export interface Held extends Written {
  readonly value: Value
  readonly mediaType?: MediaType | undefined
}

/** A key to read, and the entry that the reader already holds, if any. */
export interface Wanted {
  readonly key: string
  readonly held?: Held | undefined
}

/** Options of a write. */
export interface WriteOptions {
  /** Time to live of the row in ms, by the database's own clock; undefined if the row does not expire (P12). */
  readonly ttlMs?: number | undefined
  /** Names of the groups that the entry belongs to, by which it can be invalidated. Undefined for none. */
  readonly groups?: readonly string[] | undefined
}

/** Writes of one form share statements. A write that does not say when it expires leaves that to the table. */
export type WriteForm = 'plain' | 'grouped' | 'expiring'

export function formOf({ ttlMs, groups }: WriteOptions): WriteForm {
  if (ttlMs !== undefined) return 'expiring'
  return groups === undefined ? 'plain' : 'grouped'
}

export interface Write extends WriteOptions {
  readonly key: string
  readonly value: Value
  readonly mediaType?: MediaType | undefined
}

/** Options of a write that may have a condition. */
export interface ChangeOptions extends WriteOptions {
  readonly condition?: WriteCondition | undefined
  /** Lease under which the value was computed (P15); undefined for none. Excludes a condition. */
  readonly lease?: string | undefined
}

/** A write, or without a value a delete, that happens only if the condition holds. */
export interface ConditionalWrite extends Omit<Write, 'value'> {
  readonly value: Value | undefined
  readonly condition: WriteCondition
  readonly lease?: string | undefined
}

/** A pending write as it is sent, with what remains of its time to live. A write that has expired is a delete. */
export interface SentWrite extends Omit<PendingWrite, 'expiresAtMs' | 'outcomesExpireAtMs'>, WriteOptions {
  /** True if the row that it builds on may have expired: then a missing row is not a change. */
  readonly mayHaveExpired?: boolean
}

/** The position of the database. */
export interface Position {
  readonly epoch: Epoch
  /** The highest version that the sequence may have produced so far. */
  readonly latest: bigint
}

/** An acknowledged write. */
export interface WriteAnswer extends Written {
  /** Remaining time to live of the row, in ms; undefined if it does not expire (P12). */
  readonly remainingMs: number | undefined
  /** True if the stored row is what was sent: the table has no triggers or rules except those of the migrations. */
  readonly isAsSent: boolean
}

/** An acknowledged delete. `isLeftIn` is true if a trigger or rule kept the entry from being deleted. */
export type RemoveAnswer = (Written & Pick<WriteAnswer, 'isAsSent'>) | (Absent & { readonly isLeftIn?: true })

/** The answer to a conditional write. */
export interface ConditionalAnswer {
  readonly epoch: Epoch
  /** Version of the entry that the condition was about; undefined if there was none. */
  readonly before: Version | undefined
  /** True if the condition held. */
  readonly isMet: boolean
  /** Reason why a write with a lease was refused; `isMet` is false then. */
  readonly refusal?: FillRefusal | undefined
  /** The write; undefined if the condition did not hold, there was nothing to delete, or a trigger left it out. */
  readonly written: WriteAnswer | undefined
}

/**
 * The end of a pending write: written (`written` is undefined after a delete, even if there was nothing to delete), or
 * a conflict, because the row had changed. After a conflict the row stays as it is.
 */
export type Settlement =
  | { readonly kind: 'written'; readonly written: Written | undefined }
  | { readonly kind: 'conflict' }

/** `unknown`: the database does not know the transaction, or has another history. */
export type TransactionOutcome =
  | 'in-progress'
  | 'aborted'
  | 'unknown'
  | { readonly settlements: ReadonlyMap<string, Settlement> }

/** A mark that is in the database now, and the highest version that was produced before it was made. */
export interface MarkAnswer {
  readonly mark: Mark
  readonly latest: bigint
}

/**
 * A part of a batch whose statement has failed. Each part is sent only once: if it fails, the next attempt is its
 * halves, or its single items.
 */
export interface BatchPart {
  /** Maximum time that the server may take for the part. Undefined: the limit that applies to every statement. */
  readonly withinMs?: number
}

/**
 * The system of record. Every method takes a set of distinct keys, and rejects with a CacheError within the store's
 * time limit. One call is one statement: it succeeds for all its keys or for none.
 */
export interface Store {
  /**
   * Reads all keys. A value is not transferred if the reader holds exactly the version and value that the store has, in
   * the same epoch. A value is not transferred either if it takes too much memory, alone or together with those before
   * it. At least one value is transferred unless all are too large.
   */
  read(
    wanted: readonly Wanted[],
    part?: BatchPart,
  ): Promise<ReadonlyMap<string, StoredEntry | Unchanged | Withheld | Absent>>
  /** Reads like `read`, in one statement: all answers are from one snapshot. */
  readAtOnce(
    wanted: readonly Wanted[],
    part?: BatchPart,
  ): Promise<ReadonlyMap<string, StoredEntry | Unchanged | Withheld | Absent>>
  /**
   * Returns the current versions from the primary, of all rows that exist, expired or not; undefined if the primary has
   * another epoch.
   */
  versions(keys: readonly string[], epoch: Epoch): Promise<ReadonlyMap<string, Version> | undefined>
  /**
   * Inserts or replaces entries, all of one form. A key is missing from the answer if a trigger or rule left the entry
   * out or renamed it.
   */
  write(writes: readonly Write[], part?: BatchPart): Promise<ReadonlyMap<string, WriteAnswer>>
  /** Deletes entries. For each key that existed, the answer has the version of its absence. */
  remove(keys: readonly string[], part?: BatchPart): Promise<ReadonlyMap<string, RemoveAnswer>>
  /** Decides about the condition or the lease of a write, and writes or deletes the entry, in one statement. */
  writeIf(write: ConditionalWrite, part?: BatchPart): Promise<ConditionalAnswer>
  /** Returns those of the keys whose row is locked by another transaction. */
  lockedOf(keys: readonly string[]): Promise<ReadonlySet<string>>
  /** Returns the position. `hasMark` is true if the database has this mark, or no mark was given. */
  position(mark?: Mark): Promise<Position & { readonly hasMark: boolean }>
  /** Writes a mark, unless an existing one suffices: nothing has been written since, or it is a few seconds old. */
  mark(): Promise<MarkAnswer>
  /**
   * Sends pending writes, each only if the row has not changed since its base (P9). Calls `onBegun` before anything is
   * written. Rejects with `outcome-unknown` only if the connection is lost while the transaction commits. Then call
   * `outcomeOf`.
   */
  settle(
    writes: readonly SentWrite[],
    onBegun: (transaction: Transaction) => void,
  ): Promise<ReadonlyMap<string, Settlement>>
  /** Returns the outcome of the transaction of a `settle` and, if it was committed, of each of its writes. */
  outcomeOf(transaction: Transaction, writes: readonly SentWrite[]): Promise<TransactionOutcome>
}

/** Writes several entries in one transaction. */
export interface TransactionWriter {
  /**
   * Writes and deletes entries of distinct keys, if all conditions hold; otherwise none. Returns an answer for each
   * write, in their order. Rejects with a CacheError if nothing has happened, or if the outcome is unknown. The error
   * has the key of the write that caused it, if one did.
   */
  writeAll(writes: readonly ConditionalWrite[]): Promise<readonly ConditionalAnswer[]>
}

/** An entry in a list, without its value. */
export interface ListedRow {
  readonly key: string
  readonly version: Version
  /** Size of the stored value, in bytes. */
  readonly bytes: number
  /** Remaining time to live of the row, in ms; undefined if it does not expire (P12). */
  readonly remainingMs: number | undefined
  /** Names of the groups of the entry. */
  readonly groups: readonly string[]
}

/** A part of the list of entries. */
export interface ListedRows<Row = ListedRow> {
  /** Rows in the order of their keys. There may be fewer than wanted, or none, even if more follow. */
  readonly rows: readonly Row[]
  /** Key after which the list continues; undefined at its end. */
  readonly next: string | undefined
}

/** The entries of the store in the byte order of their keys. Both methods reject with a CacheError. */
export interface EntryList {
  /** Returns up to `limit` of the rows whose key begins with `prefix` and comes after `after`. */
  rows(range: { readonly prefix: string; readonly after: string }, limit: number): Promise<ListedRows>
  /** Returns the number of entries whose key begins with the prefix. */
  count(prefix: string): Promise<number>
}

/** A position in the primary's write-ahead log, which only grows. */
export interface LogPosition {
  readonly epoch: Epoch
  readonly bytes: bigint
}

/** The entry that a replica has for a key; undefined if it has none. */
export interface ReplicaAnswer {
  readonly entry: StoredEntry | Unchanged | Withheld | undefined
}

/** A copy of the store that may lag behind (P13). */
export interface Replica {
  /**
   * Resolves to a position after everything that was committed before this call, once the replica has replayed it.
   * Rejects if that takes too long, or if one of the two cannot be reached.
   */
  catchUp(): Promise<LogPosition>
  /**
   * Reads like the store, from a server that had already replayed the position. Rejects if it had not. A key is missing
   * from the answer if its entry expires, because only the primary's clock decides when.
   */
  read(wanted: readonly Wanted[], position: LogPosition): Promise<ReadonlyMap<string, ReplicaAnswer>>
}

/** The database's answer to a probe on the listening session. */
export interface Proof extends Position {
  /**
   * Hash of the table's triggers, rules, columns and file. If it changes, a trigger was created, dropped, enabled or
   * disabled, or the table was rewritten, and versions may stand for other values.
   */
  readonly fingerprint: string
  /** The database's wall clock, in ms since 1970. */
  readonly databaseMs: number
  /**
   * Monotonic time at which a drain of the outbox was sent that had been answered before the probe was sent, in ms. So
   * everything that was acknowledged before that moment has been delivered. Undefined if there was none (P17).
   */
  readonly drainedMs?: number | undefined
}

/** A session of the change feed, on the listening connection. */
export interface FeedSession {
  /** Fingerprint of the table when the session began; see `Proof`. */
  readonly fingerprint: string
  /**
   * Resolves when every change that was visible in the database at the time of the call has been delivered, to the time
   * in ms that a notification took. (`proven` covers acknowledged changes only: a commit is visible a moment before it
   * is announced.) Rejects if that cannot be shown, for example because changes are not announced.
   */
  roundTrip(): Promise<number>
  /** Ends the session for a reason in words. */
  end(reason: string): void
}

/**
 * Receiver of a change feed, which calls `bound` and `listening`, then `proven`, `changed` and `bound` any number of
 * times, then `lost` or `rest`, and then starts again. Changes come in commit order.
 */
export interface ChangeFeedHandler {
  /**
   * Called with all bindings (P16), as they were found after LISTEN was in force, or, before `proven`, after the probe
   * was sent.
   */
  bound(bindings: readonly Binding[]): void
  /**
   * Called when all changes committed from `asOfMs` (monotonic) on will be delivered. Resolves once the cache has
   * caught up with what happened before. If it rejects, the feed closes the connection and starts again.
   */
  listening(asOfMs: number, session: FeedSession): Promise<void>
  /**
   * Called when everything acknowledged before `asOfMs` has been delivered. Throws if that cannot be true; the feed
   * then closes the connection. A returned promise is treated like that of `listening`.
   */
  proven(asOfMs: number, proof: Proof): Promise<void> | undefined
  /** Called for each change. A returned promise is treated like that of `listening`. */
  changed(change: Change): Promise<void> | undefined
  /**
   * Called when the feed is lost, and after each attempt to reconnect that fails. `shownReason` is public: it names no
   * roles, hosts, paths or objects of the database. `cause` is the error behind it.
   */
  lost(reason: string, shownReason?: string, cause?: unknown): void
  /**
   * Called between two probes while the feed is live. Returns undefined if the feed is needed. Otherwise nothing is
   * proven from now on, changes may be missed, and the promise resolves when the feed is needed again. `listening` or
   * `lost` is called next.
   */
  rest(): Promise<void> | undefined
}

export interface ChangeFeed {
  /**
   * Connects, and reconnects by itself until `close`. Resolves after the first attempt, whether or not it succeeded.
   */
  start(handler: ChangeFeedHandler): Promise<void>
  /** Closes the feed. Idempotent. The handler is not called afterwards. */
  close(): Promise<void>
}

/** Log for events that an operator should see. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}
