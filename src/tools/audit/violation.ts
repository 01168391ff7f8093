import type { Version } from '../../core/entry.js'
import type { Asked } from './answer.js'
import { boundMs } from './checkpoints.js'

/** A sidecar served as fresh what had been replaced more than L before. */
export interface Violation {
  readonly sidecar: string
  readonly key: string
  /** The announced version that replaced it. */
  readonly version: Version
  /** From the announcement to the question. */
  readonly ageMs: number
}

export interface Heard {
  readonly key: string
  readonly version: Version
  /** When the announcement was heard; the commit was before. */
  readonly heardMs: number
}

/** Those of the suspects that were asked later than the bound allows. */
export function violationsAmong(
  suspects: readonly Asked[],
  { key, version, heardMs }: Heard,
  maxStalenessMs: number,
): Violation[] {
  return suspects
    .map(({ sidecar, sentMs }) => ({ sidecar, key, version, ageMs: sentMs - heardMs }))
    .filter(({ ageMs }) => ageMs > boundMs(maxStalenessMs))
}
