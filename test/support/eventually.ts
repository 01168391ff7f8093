import { setTimeout as sleep } from 'node:timers/promises'

/** Mutants are run with less patience: many show only in a wait that fails. */
const defaultMs = Number(process.env.TEST_PATIENCE_MS ?? 90_000)

/** At most between two calls of a check. A wait of seconds would otherwise take a third of a core. */
const mostMs = 50

/**
 * Calls `check` repeatedly until it returns something truthy, and resolves to that. The first calls are `everyMs` apart;
 * later ones are further apart, unless `everyMs` is given. Rejects if that does not happen in time, with the last result
 * of `check`. The time is for what never happens: it is long, because machines are shared.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { withinMs = defaultMs, everyMs }: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const startMs = performance.now()
  for (;;) {
    let last: unknown
    try {
      const answer = await check()
      if (answer) return answer
      last = answer
    } catch (error) {
      last = error
    }
    const waitedMs = performance.now() - startMs
    if (waitedMs > withinMs) {
      throw new Error(`did not happen within ${withinMs} ms: ${check}; the last time: ${last}`, {
        cause: last,
      })
    }
    // A tenth of the wait so far, so that it ends at most that much later.
    await sleep(everyMs ?? Math.min(Math.max(10, waitedMs / 10), mostMs))
  }
}
