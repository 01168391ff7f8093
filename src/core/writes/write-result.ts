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
