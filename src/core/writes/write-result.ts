import type { Written } from '../entry.js'
import type { FillRefusal } from '../leases/fill-leases.js'

/** Result of a write. `written` is false for a pending write. */
export type WriteResult = (
  | { readonly written: true; readonly token: string }
  | { readonly written: false }
) & {
  /** Remaining time to live of the entry, in ms; undefined if it does not expire (P12). */
  readonly expiresInMs?: number | undefined
}

export interface DeleteResult {
  /** True if this sidecar held the entry; `stored` is true if the database had it. */
  readonly held: boolean
  readonly stored: boolean
  /** Token of the delete; undefined if it is a pending write. */
  readonly token: string | undefined
}

/** Result of a write or delete that has happened. */
export interface WrittenResult {
  readonly kind: 'written'
  /** True if there was an entry before. */
  readonly existed: boolean
  readonly token: string
  /** The write, if the store has exactly what was sent; undefined otherwise, and for a delete. */
  readonly written: Written | undefined
}

/** Result of a write or delete that tells what was there before. */
export type ChangeResult =
  /** The condition did not hold, or the lease was refused: nothing has changed. */
  | { readonly kind: 'unmet'; readonly refusal?: FillRefusal | undefined }
  /** The database is unavailable, and the write is pending. */
  | { readonly kind: 'kept' }
  | WrittenResult
