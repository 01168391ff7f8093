import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'
import type { Owner } from './database.js'

/**
 * Ends every pause of `node:timers/promises` at once until the end of the test, and returns the list of their lengths,
 * in ms. `onPause` is called with each length, for example to move a clock.
 */
export function recordedPauses(t: Owner, onPause: (ms: number) => void = () => undefined): number[] {
  const { setTimeout: original } = timers
  const use = (replacement: unknown) => {
    Object.assign(timers, { setTimeout: replacement })
    syncBuiltinESMExports()
  }
  const pauses: number[] = []
  use(async <T>(ms: number, value?: T, { signal }: { readonly signal?: AbortSignal } = {}) => {
    signal?.throwIfAborted()
    pauses.push(ms)
    onPause(ms)
    return value
  })
  t.teardown(() => use(original))
  return pauses
}
