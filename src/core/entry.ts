import type { ReadCount } from './bindings/binding-reads.js'
import type { KeyPattern } from './bindings/key-pattern.js'
import type { Content, MediaType } from './media-type.js'

/** A value as clients see it: JSON text, never `null`. A string value is a JSON string. */
export type Value = string

/**
 * Identifier of one write of a key. No version is produced twice. Versions are not in commit order across keys, so they
 * are compared for equality, never by order (P1). The version of a missing key is the version of its deleted row with a
 * minus sign. The version of a bound row is a hash of its content, with 32 hexadecimal digits (P16).
 */
export type Version = string

/**
 * Version that no entry has, so a change with it drops whatever is held of its key (P2). All changes of bound tables have
 * it (P16).
 */
export const versionOfNone: Version = '1'

/**
 * Identifier of the history that versions belong to: a hash of the cluster, the timeline, the database and the table.
 */
export type Epoch = string

/**
 * A random number that the database stores, so that a sidecar can later tell whether the database's history still
 * contains that moment (P9).
 */
export type Mark = string

/** A row of the store that was written or deleted. */
export interface Written {
  readonly version: Version
  readonly epoch: Epoch
}

/** The absence of an entry for the key in this history. */
export interface Absent {
  readonly version: undefined
  readonly epoch: Epoch
  /** True as in `StoredEntry`. */
  readonly viaOutbox?: boolean | undefined
  /** Longest time for which the absence may be remembered, in ms; undefined for no limit but the time to live. */
  readonly remainingMs?: number | undefined
}

/** The entry that the store has for a key. */
export interface StoredEntry extends Written {
  readonly key: string
  readonly value: Value
  /** Media type of the value; undefined for JSON without parameters. */
  readonly mediaType?: MediaType | undefined
  /** Remaining time to live by the database's own clock, in ms; undefined if the entry does not expire (P12). */
  readonly remainingMs: number | undefined
  /**
   * True if the value is stored in the form in which a sidecar writes it, so that it can be compared with the row.
   * Plain SQL can store the same value in another form.
   */
  readonly isComparable: boolean
  /** True if changes of the key are announced through the outbox, so that a hit needs the lease of the outbox (P17). */
  readonly viaOutbox?: boolean | undefined
}

/** A stored entry whose value the reader already holds, so that it is not transferred (P10). */
export interface Unchanged extends Omit<StoredEntry, 'value' | 'mediaType'> {
  readonly value: undefined
}

/** An entry whose value the store did not send. */
export interface Withheld extends Written {
  readonly key: string
  readonly value: undefined
  /**
   * `too-large`: the value alone exceeds the bytes that one statement may return. `postponed`: the value exceeds them
   * together with others of the same statement, so that another statement has to be sent. `ambiguous`: the query of a
   * binding returns several rows for the key (P18).
   */
  readonly withheld: 'too-large' | 'postponed' | 'ambiguous'
}

/** An entry that this sidecar holds in memory. */
export interface Entry {
  readonly key: string
  readonly value: Value
  /** Media type as in `StoredEntry`. */
  readonly mediaType: MediaType | undefined
  readonly version: Version
  readonly epoch: Epoch
  /** True as in `StoredEntry`. */
  readonly isComparable: boolean
  readonly viaOutbox: boolean
  /** Count of the binding of the key; undefined if the key is not bound. */
  readonly reads: ReadCount | undefined
  /** Time at which the store was asked, by the sidecar's monotonic clock, in ms. */
  readonly asOfMs: number
  /**
   * Time of expiry by the same clock; `Infinity` if the entry does not expire. A hit or a changed setting may move it.
   */
  expiresAtMs: number
  /** Time of expiry of the row itself, which bounds every local time to live; `Infinity` if the row does not expire. */
  readonly rowExpiresAtMs: number
  /** Size of key and value in UTF-8, as they are sent. */
  readonly bytes: number
}

/** One decoded event of the change feed. */
export type Change =
  | { readonly kind: 'key'; readonly id: string; readonly version: Version }
  /** Any key of a binding (P18). */
  | { readonly kind: 'pattern'; readonly pattern: KeyPattern }
  /** Too many changes to name, or a payload that cannot be parsed. */
  | { readonly kind: 'everything' }

/** Condition on the row of a pending write: it is sent only if the row still looks like this (P9). */
export type Base =
  /**
   * An entry was held: its version and its value, because somebody may have changed the value without a new version.
   * The value is undefined if it is not known. If the row is missing, it was deleted.
   */
  | {
      readonly kind: 'held'
      readonly version: Version
      readonly value: Value | undefined
      readonly mediaType?: MediaType | undefined
      /**
       * Fingerprint of the table when it was last seen. Without a value, the version counts only while the table has
       * it.
       */
      readonly fingerprint?: string | undefined
      /**
       * Time at which the row expires, by the sidecar's monotonic clock, in ms; undefined if it does not. From then on
       * a missing row is not a change.
       */
      readonly expiresAtMs?: number | undefined
    }
  /**
   * No entry was held: there must be no row, or a row that was committed before the mark, and the mark must still be
   * there. Without a mark (before the first contact), there must be no row.
   */
  | { readonly kind: 'unseen'; readonly mark: Mark | undefined }

/** A write (or, without a value, a delete) that the database has not seen yet. */
export interface PendingWrite {
  readonly key: string
  readonly value: Value | undefined
  readonly mediaType?: MediaType | undefined
  readonly base: Base
  /** The history that the base belongs to; undefined before the first contact. */
  readonly epoch: Epoch | undefined
  /**
   * True if the write was sent and its outcome is unknown: if there is no row, it may have been written and then
   * deleted.
   */
  readonly mayHaveHappened: boolean
  /**
   * Contents that earlier writes of the same key with an unknown outcome would have left, undefined for a delete. All
   * of them were made by this sidecar. The row may have one of these contents instead of the base.
   */
  readonly outcomes: readonly (Content | undefined)[]
  /** Time at which the first of these expires, like `expiresAtMs`. From then on a missing row is not a change. */
  readonly outcomesExpireAtMs?: number | undefined
  /** Time of expiry by the sidecar's monotonic clock, in ms; undefined if the write does not expire (P12). */
  readonly expiresAtMs?: number | undefined
  /** Names of the groups that the entry will belong to; undefined for none. */
  readonly groups?: readonly string[] | undefined
}

/** A transaction of the store, kept to ask later whether it was committed. */
export interface Transaction {
  readonly id: string
  readonly epoch: Epoch
}
