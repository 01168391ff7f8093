/**
 * Handles SIGTERM and SIGINT from the moment that this module is evaluated, and so must import nothing: process 1 of a
 * container ignores signals without a handler, and what comes first is all that such a signal cannot fall into.
 */

const stop = new AbortController()

/** Aborted by the first signal. A second one ends the process at once. */
export const stopSignal: AbortSignal = stop.signal

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(process.exitCode ?? 1)
    stop.abort()
  })
}
