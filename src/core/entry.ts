/** A value as clients see it: JSON text, never `null`. A string value is a JSON string. */
export type Value = string

/**
 * Which write of a key this is. Never handed out twice, and not in commit order across keys: compared for
 * equality, never by order (P1). The version of a key's absence is the last one's with a minus before it.
 */
export type Version = string

/** Which history of which table versions belong to: a hash of the cluster, the timeline, the database and the table. */
export type Epoch = string

/** A random number that the database keeps, to tell later whether its history still has that moment (P9). */
export type Mark = string

/** A row of the store was written, or is gone. */
export interface Written {
  readonly version: Version
  readonly epoch: Epoch
}

/** There is no entry under the key, in this history. */
export interface Absent {
  readonly version: undefined
  readonly epoch: Epoch
}

/** What the store holds under a key. */
export interface StoredEntry extends Written {
  readonly key: string
  readonly value: Value
  /** Time to live left by the database's own clock, in ms; undefined when the entry does not expire (P12). */
  readonly remainingMs: number | undefined
  /**
   * True if the store has the value in the form in which a sidecar writes it, so that it can be compared with the row. Plain SQL
   * can store the same value in another form.
   */
  readonly isComparable: boolean
}

/** The same, where the value is the one that the reader already holds (P10). */
export interface Unchanged extends Omit<StoredEntry, 'value'> {
  readonly value: undefined
}

/** The store has the entry, and did not send its value. */
export interface Withheld extends Written {
  readonly key: string
  readonly value: undefined
  /**
   * `too-large`: the value alone takes more bytes than one statement may bring. `postponed`: the value does together with others of
   * the same statement, so that another one has to be sent.
   */
  readonly withheld: 'too-large' | 'postponed'
}

/** What this sidecar holds in memory. */
export interface Entry {
  readonly key: string
  readonly value: Value
  readonly version: Version
  /** See `StoredEntry`. */
  readonly isComparable: boolean
  /** When the store was asked, by the sidecar's monotonic clock, in ms. */
  readonly asOfMs: number
  /** By the same clock; `Infinity` when nothing expires it. It moves: a hit or another setting may change it. */
  expiresAtMs: number
  /** When the row itself expires, which no time to live of ours goes beyond; `Infinity` when it does not. */
  readonly rowExpiresAtMs: number
  /** Bytes of key and value in UTF-8, as they are sent. */
  readonly bytes: number
}

/** One decoded event of the change feed. */
export type Change =
  | { readonly kind: 'key'; readonly id: string; readonly version: Version }
  /** Too many to name, or a payload that says nothing we can read. */
  | { readonly kind: 'everything' }

/** What the row of a pending write must still look like for the write to be sent (P9). */
export type Base =
  /**
   * An entry was held: its version, and its value, which somebody may have changed without a version; undefined where it is
   * not known. A row that is gone was deleted.
   */
  | {
      readonly kind: 'held'
      readonly version: Version
      readonly value: Value | undefined
      /** Fingerprint of the table when it was last seen. Without a value, the version counts only while the table has it. */
      readonly fingerprint?: string | undefined
    }
  /**
   * None was held: no row, or one that was committed before the mark, which must still be there. Without a mark (before the
   * first contact): no row.
   */
  | { readonly kind: 'unseen'; readonly mark: Mark | undefined }

/** A write (or, without a value, a delete) that the database has not seen yet. */
export interface PendingWrite {
  readonly key: string
  readonly value: Value | undefined
  readonly base: Base
  /** The history that the base belongs to; undefined before the first contact. */
  readonly epoch: Epoch | undefined
  /** It was sent and the outcome is unknown: no row may mean that it was written and then deleted. */
  readonly mayHaveHappened: boolean
  /**
   * What writes of the same key with an unknown outcome would have left, which came before it in this sidecar: values, or
   * undefined for a delete. The row may be that as well as the base.
   */
  readonly outcomes: readonly (Value | undefined)[]
}

/** A transaction of the store, by which to ask later what became of it. */
export interface Transaction {
  readonly id: string
  readonly epoch: Epoch
}
