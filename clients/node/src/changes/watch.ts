import type { ChangeEvent, GapEvent, WatchOptions } from '../api.js'
import { checkWatch } from '../arguments.js'
import { CachingLayerError } from '../caching-layer-error.js'
import { onAbort } from '../http/on-abort.js'
import type { Transport } from '../http/transport.js'
import { followChanges } from './follow-changes.js'

/**
 * Follows the changes for the application. Ends when `closed` or the signal of the caller is aborted. Rejects if the
 * sidecar refuses the stream, with a status from 400 to 499, and if the options are invalid.
 */
export async function* watch(
  transport: Transport,
  options: WatchOptions,
  closed: AbortSignal,
): AsyncGenerator<ChangeEvent | GapEvent, void> {
  checkWatch(options)
  const { prefix = '', signal } = options
  // Not AbortSignal.any, whose signals are never released in Node.js 20.
  const controller = new AbortController()
  const abort = () => controller.abort()
  if (signal?.aborted || closed.aborted) abort()
  const offs = [signal, closed].map((one) => one && onAbort(one, abort))
  try {
    for await (const event of followChanges({
      transport,
      prefix,
      signal: controller.signal,
      keepsAlive: true,
    })) {
      // The first connection continues nothing, nor does one after a connection that brought no id.
      if (event.kind === 'gap' || (event.kind === 'open' && !event.isContinued)) yield { type: 'gap' }
      else if (event.kind === 'change') {
        const { key, keyHash, version, isDeleted } = event
        yield { type: 'change', key, keyHash, version, isDeleted }
      } else if (event.kind === 'end' && isRefusal(event.error)) throw event.error
    }
  } finally {
    abort()
    for (const off of offs) off?.()
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof CachingLayerError && error.status !== undefined && error.status < 500
}
