import { CachingLayerError } from '../caching-layer-error.js'
import type { HttpResponse } from './http-message.js'

/** Returns the error of a response with a problem (RFC 9457). */
export function problemOf({ status, body }: HttpResponse, isRead: boolean): CachingLayerError {
  const { type, detail } = membersOf(body)
  if (type === undefined)
    return new CachingLayerError({
      status,
      kind: 'invalid-response',
      detail: `status ${status} without a problem: this is not a sidecar, or something is in between`,
      retryable: status >= 500 && isRead,
    })
  const kind = type.slice(type.indexOf('#') + 1)
  // Every 503 but this one says that nothing has happened.
  const retryable = status === 408 || (status === 503 && kind !== 'outcome-unknown')
  return new CachingLayerError({ status, kind, detail: detail ?? `status ${status}`, retryable })
}

function membersOf(body: Buffer): {
  readonly type?: string | undefined
  readonly detail?: string | undefined
} {
  try {
    const { type, detail } = JSON.parse(body.toString())
    return {
      type: typeof type === 'string' ? type : undefined,
      detail: typeof detail === 'string' ? detail : undefined,
    }
  } catch {
    return {}
  }
}
