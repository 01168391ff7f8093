import { setMaxListeners } from 'node:events'

/**
 * Calls `listener` when the signal is aborted. Returns a function that takes the listener off.
 *
 * An application may give one signal to hundreds of calls at once. Node would warn of a leak from the eleventh on.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal instanceof EventTarget) setMaxListeners(0, signal)
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}
