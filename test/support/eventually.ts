import { setTimeout as sleep } from 'node:timers/promises'

/** Mutants are run with less patience: many show only in a wait that fails. */
const defaultMs = Number(process.env.TEST_PATIENCE_MS ?? 90_000)

/**
 * Calls `check` repeatedly until it returns something truthy, and resolves to that. Rejects if that does not happen in
 * time, with the last result of `check`. The time is for what never happens: it is long, because machines are shared.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { withinMs = defaultMs, everyMs = 10 }: { withinMs?: number; everyMs?: number } = {},
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
