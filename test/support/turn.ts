/**
 * Resolves when everything that can happen by itself has happened, and the rest waits for the test. No clock of the
 * test moves.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
