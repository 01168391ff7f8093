import { setTimeout as sleep } from 'node:timers/promises'

export interface AuditClock {
  /** Returns the monotonic time, in ms. */
  now(): number
  /** Resolves after this time, or when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export const systemClock: AuditClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
}
