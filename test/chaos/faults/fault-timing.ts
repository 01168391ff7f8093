/** Ends early when the run does. */
export type Pause = (ms: number) => Promise<void>

export interface Timing {
  readonly durationMs: number
  /** From 0 to 1, for whatever else the fault has to choose. */
  readonly choice: number
}
