import type { BenchPostgres } from './postgres.js'

/** Environment of a comparison. */
export interface Bench {
  readonly postgres: BenchPostgres
  /** Run when the comparison is over, the latest first. */
  teardown(end: () => unknown): void
  note(line: string): void
  /** Folder in which Node processes leave a CPU profile when they end; undefined if none is wanted. */
  readonly profileFolder?: string | undefined
}
