import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks again and again until `check` answers something truthy, which is the answer. Rejects when that has
 * not happened within the bound, with what `check` said last. The bound is for what never happens: machines are shared.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { withinMs = 90_000, everyMs = 10 }: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    let last: unknown
    try {
      const answer = await check()
      if (answer) return answer
      last = answer
    } catch (error) {
      last = error
    }
    if (performance.now() > deadlineMs) {
      throw new Error(`did not happen within ${withinMs} ms: ${check}; the last time: ${last}`, {
        cause: last,
      })
    }
    await sleep(everyMs)
  }
}
