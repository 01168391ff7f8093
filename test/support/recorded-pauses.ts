import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'
import type { Owner } from './database.js'

/** The real one. While a test runs, another replacement may be in its place. */
const { setTimeout: original } = timers

/**
 * Ends every pause of `node:timers/promises` at once until the end of the test, and returns the list of their lengths,
 * in ms. `onPause` is called with each length, for example to move a clock. If it returns a promise, the pause goes on
 * until that is settled, or the pause is aborted.
 */
export function recordedPauses(t: Owner, onPause: (ms: number) => unknown = () => undefined): number[] {
  const use = (replacement: unknown) => {
    Object.assign(timers, { setTimeout: replacement })
    syncBuiltinESMExports()
  }
  const pauses: number[] = []
  use(async <T>(ms: number, value?: T, { signal }: { readonly signal?: AbortSignal } = {}) => {
    signal?.throwIfAborted()
    pauses.push(ms)
    const aborted = new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    await Promise.race([onPause(ms), aborted])
    return value
  })
  t.teardown(() => use(original))
  return pauses
}
