import type { Random } from '../../support/random.js'
import type { ReadAnswer } from '../fleet/sidecar-client.js'
import type { Planned } from './bound-statements.js'
import type { BoundRow } from './bound-tables.js'

/** Recorded changes and reads of bound rows. */
export interface BoundAccess {
  readonly random: Random
  readonly maxStalenessMs: number
  /** Number of sidecars. */
  readonly fleetSize: number
  /** Returns a value that nobody has written. */
  readonly value: (by: string) => string
  /** Runs a transaction. Resolves to true if it was acknowledged. */
  readonly carryOut: (by: string, planned: Planned) => Promise<boolean>
  /**
   * Calls `work` while sidecars' reads of a row of `slow` wait, for 1.5 s at most. Its argument returns the number of
   * reads that wait.
   */
  readonly readSlowly: (
    row: BoundRow,
    work: (waiting: () => Promise<number>) => Promise<unknown>,
  ) => Promise<unknown>
  /** Reads a row through each sidecar, at once. */
  readonly readEverywhere: (by: string, row: BoundRow) => Promise<readonly ReadAnswer[]>
}
