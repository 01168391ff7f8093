/**
 * Everything that can happen by itself has happened: what is left waits for the test. No time passes, by any
 * clock that matters here.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
