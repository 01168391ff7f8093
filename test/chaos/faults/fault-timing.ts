/** Resolves after this time, or as soon as the run ends. */
export type Pause = (ms: number) => Promise<void>

export interface Timing {
  readonly durationMs: number
  /** Number from 0 to 1 for any other choice of the fault. */
  readonly choice: number
}
