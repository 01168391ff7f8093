import { setTimeout as sleep } from 'node:timers/promises'

export interface AuditClock {
  /** Monotonic, in ms. */
  now(): number
  /** Resolves when the time is over or the signal aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export const systemClock: AuditClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
}
