/** Returns what an error of the client must match. */
export function clientError(members: {
  readonly kind: string
  readonly status?: number | undefined
  readonly detail?: RegExp
  readonly retryable?: boolean
}) {
  return { name: 'CachingLayerError', ...members }
}
