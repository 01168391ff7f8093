import type { BenchPostgres } from './postgres.js'

/** What a comparison runs in. */
export interface Bench {
  readonly postgres: BenchPostgres
  /** Run when the comparison is over, the latest first. */
  teardown(end: () => unknown): void
  note(line: string): void
}
