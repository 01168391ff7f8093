import { setTimeout as sleep } from 'node:timers/promises'

/** Steps of a shutdown, by name. */
export type Ends = Readonly<Record<string, () => Promise<unknown> | undefined>>

/**
 * Runs the steps one after the other. After the time has passed it stops waiting, and reports the step that was
 * under way.
 */
export async function runInOrder(
  ends: Ends,
  timeoutMs: number,
  onLate: (unfinished: string) => void,
): Promise<void> {
  let unfinished = ''
  const inTime = new AbortController()
  const late = sleep(timeoutMs, undefined, { signal: inTime.signal }).then(
    () => onLate(unfinished),
    () => undefined,
  )
  const finish = async () => {
    for (const [name, end] of Object.entries(ends)) {
      unfinished = name
      await end()
    }
  }
  try {
    await Promise.race([finish(), late])
  } finally {
    inTime.abort()
  }
}
