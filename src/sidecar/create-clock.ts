import type { Log } from '../core/ports.js'
import { SuspendClock } from './suspend-clock.js'

/** Creates the clock of a sidecar, which logs that the machine was suspended. */
export function createClock(log: Log): SuspendClock {
  return new SuspendClock({
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    onJump: (forMs) =>
      log.warn({ forMs: Math.round(forMs) }, 'the machine was suspended, or its clock was set forward'),
  })
}
