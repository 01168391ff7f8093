/** A moment after a change was announced at which all sidecars are asked. */
export interface Checkpoint {
  /** What it is named after: T. */
  readonly ms: number
  readonly askAtMs: number
}

/** Clocks of two machines run apart by less than this part of the time. */
const drift = 0.001
const marginMs = 10
const fixedMs = [100, 1_000]

/** An answer asked for later than this after the announcement has to be newer than the announcement. */
export function boundMs(maxStalenessMs: number): number {
  return maxStalenessMs * (1 + drift)
}

/** 100 ms, 1 s and L; those up to L. */
export function checkpointsUpTo(maxStalenessMs: number): Checkpoint[] {
  const earlier = fixedMs.filter((ms) => ms < maxStalenessMs).map((ms) => ({ ms, askAtMs: ms }))
  // Well after the bound, because a timer may fire early.
  return [...earlier, { ms: maxStalenessMs, askAtMs: boundMs(maxStalenessMs) + marginMs }]
}
