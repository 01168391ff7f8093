import { setTimeout as sleep } from 'node:timers/promises'

/** What ends, by name. */
export type Ends = Readonly<Record<string, () => Promise<unknown> | undefined>>

/** Ends one after the other. Past the time it waits no longer, and says which one it was waiting for. */
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
