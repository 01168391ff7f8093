import type { Version } from '../../core/entry.js'
import type { Asked } from './answer.js'
import { boundMs } from './checkpoints.js'

/** Violation of the bound: a sidecar served as fresh what had been replaced more than L before. */
export interface Violation {
  readonly sidecar: string
  readonly key: string
  /** Announced version that replaced the served value. */
  readonly version: Version
  /** Time from the announcement to the question. */
  readonly ageMs: number
}

export interface AnnouncedChange {
  readonly key: string
  readonly version: Version
  /** Moment at which the announcement was received. The commit was earlier. */
  readonly announcedMs: number
}

/** Returns violations for those suspects that were asked later than the bound allows. */
export function violationsAmong(
  suspects: readonly Asked[],
  { key, version, announcedMs: heardMs }: AnnouncedChange,
  maxStalenessMs: number,
): Violation[] {
  return suspects
    .map(({ sidecar, sentMs }) => ({ sidecar, key, version, ageMs: sentMs - heardMs }))
    .filter(({ ageMs }) => ageMs > boundMs(maxStalenessMs))
}
