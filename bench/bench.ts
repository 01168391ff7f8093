import type { BenchPostgres } from './postgres.js'

/** What a comparison runs in. */
export interface Bench {
  readonly postgres: BenchPostgres
  /** Run when the comparison is over, the latest first. */
  teardown(end: () => unknown): void
  note(line: string): void
  /** Where processes that run on Node leave a CPU profile when they end; undefined where none is asked for. */
  readonly profileFolder?: string | undefined
}
