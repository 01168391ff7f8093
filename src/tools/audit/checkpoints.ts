/** Time after the announcement of a change at which all sidecars are asked. */
export interface Checkpoint {
  /** Nominal time in reports: T. */
  readonly ms: number
  readonly askAtMs: number
}

/** Bound on the drift between the clocks of two machines, as a share of the elapsed time. */
const drift = 0.001
const marginMs = 10
const fixedMs = [100, 1_000]

/** Returns the time after the announcement from which a fresh answer must reflect the change. */
export function boundMs(maxStalenessMs: number): number {
  return maxStalenessMs * (1 + drift)
}

/** Returns the checkpoints: 100 ms and 1 s, if they are shorter than L, and L. */
export function checkpointsUpTo(maxStalenessMs: number): Checkpoint[] {
  const earlier = fixedMs.filter((ms) => ms < maxStalenessMs).map((ms) => ({ ms, askAtMs: ms }))
  // Well after the bound, because a timer may fire early.
  return [...earlier, { ms: maxStalenessMs, askAtMs: boundMs(maxStalenessMs) + marginMs }]
}
