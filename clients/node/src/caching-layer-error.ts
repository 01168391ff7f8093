/** Kinds of errors that have no response of a sidecar. */
export type LocalErrorKind =
  /** No connection could be opened, so nothing was sent. */
  | 'unreachable'
  /** The connection was lost, or the time was up, and the request had no lasting effect. */
  | 'connection-lost'
  | 'timeout'
  /** The connection was lost, or the time was up, after a write had been sent: it may have happened. */
  | 'outcome-unknown'
  /** The response is not one of a sidecar. */
  | 'invalid-response'
  /** The value does not fit the schema, or the arguments are wrong. */
  | 'invalid-value'
  | 'closed'

export interface CachingLayerErrorOptions {
  /** Status of the response; undefined if there was none. */
  readonly status?: number | undefined
  readonly kind: string
  readonly detail: string
  readonly retryable?: boolean
  readonly cause?: unknown
}

/** The error of every call that fails, except for one that is aborted. */
export class CachingLayerError extends Error {
  override readonly name = 'CachingLayerError'
  /** Status of the response; undefined if there was none. */
  readonly status: number | undefined
  /**
   * Kind of the problem: the last part of its `type` (docs/reference/errors.md has all of them), or a `LocalErrorKind`.
   */
  readonly kind: LocalErrorKind | (string & {})
  /** The reason in words. */
  readonly detail: string
  /** True if the same call may succeed later, and has no effect twice. */
  readonly retryable: boolean

  constructor({ status, kind, detail, retryable = false, cause }: CachingLayerErrorOptions) {
    super(`${detail} (${kind})`, cause === undefined ? undefined : { cause })
    this.status = status
    this.kind = kind
    this.detail = detail
    this.retryable = retryable
  }
}
