/**
 * Handles SIGTERM and SIGINT from the moment that this module is evaluated. Process 1 of a container ignores signals
 * without a handler, so a signal that comes before that moment would be lost. To make it early, this module must import
 * nothing.
 */

const stop = new AbortController()

/** Signal that is aborted by the first SIGTERM or SIGINT. A second one ends the process at once. */
export const stopSignal: AbortSignal = stop.signal

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(process.exitCode ?? 1)
    stop.abort()
  })
}
