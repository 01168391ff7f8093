import type { Clock } from '../core/ports.js'
import { RareWarning, type WarningLog } from '../http/access/rare-warning.js'

export interface ConnectionWarnings {
  readonly onFull: () => void
  readonly onTurnedAway: (status: number) => void
  readonly onExcess: () => void
}

/** Creates the warnings about refused and closed connections of a listener, each logged at most once a minute. */
export function connectionWarnings(
  listener: 'data' | 'operations',
  maxConnections: number,
  { clock, log }: { clock: Clock; log: WarningLog },
): ConnectionWarnings {
  const full = new RareWarning({ clock, log, message: 'as many connections are open as may be' })
  const turnedAway = new RareWarning({ clock, log, message: 'connections were closed: requests not allowed' })
  const excess = new RareWarning({
    clock,
    log,
    message: 'connections were closed: too many pipelined requests',
  })
  return {
    onFull: () => full.add({ listener, maxConnections }),
    onTurnedAway: (status) => turnedAway.add({ listener, status }),
    onExcess: () => excess.add({ listener }),
  }
}
