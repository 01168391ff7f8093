import type { Version } from '../../core/entry.js'
import type { Asked, ReadOutcome } from './answer.js'
import type { Row } from './primary.js'

/** One announced change, and what is known of it. */
export interface Announced {
  readonly key: string
  readonly version: Version
  /** The row of that version, once it has been read. Never there for an absence. */
  readonly row: Row | undefined
}

export interface Evidence {
  /** What the primary holds under the key now. */
  readonly readPrimary: (key: string) => Promise<Row | undefined>
  /** Resolves when every change that was visible at the call has been heard here. */
  readonly caughtUp: () => Promise<void>
  /** Has a newer change of the key been heard, or may one have been missed? */
  readonly isOvertaken: () => boolean
}

export type Verdict =
  /** No sidecar claims anything but what was announced. `held`: one of them does claim that. */
  | { readonly kind: 'consistent'; readonly held: boolean }
  /** These claim what was replaced by the announced change. */
  | { readonly kind: 'inconsistent'; readonly suspects: readonly Asked[] }
  | { readonly kind: 'undecided'; readonly why: 'overtaken' | 'no answer' | 'no evidence' }

export interface Judgement {
  readonly verdict: Verdict
  /** With the row, if it was read meanwhile. */
  readonly announced: Announced
}

/**
 * Are these answers, given after the change was announced, what was announced? An announcement names a
 * version and answers carry values, so the primary is read where an answer is neither "nothing" nor what is
 * known of that version already: once for most changes, never for those that no sidecar holds. Comparing
 * the sidecars with each other alone would not show what is stale on all of them.
 *
 * Why an answer that differs is not yet a stale one:
 *
 *   1. version 7 of the key is announced           4. asked, the sidecar answers with the value of 8
 *   2. the key is written again: 8                 5. the announcement of 8 arrives here
 *   3. a sidecar reads 8 and keeps it
 *
 * So the primary is read after the answer. No version returns: if the row still is 7 then, it was 7 at every
 * moment since 1. A row that is gone has no version to tell:
 *
 *   1. the absence of the key is announced: -7     4. asked, the sidecar answers with the value of 8
 *   2. the key is inserted again: 8                5. the key is deleted again: -8
 *   3. a sidecar reads 8 and keeps it              6. the primary is read: gone, as announced
 *
 * So after that the feed has to catch up: notifications arrive in the order of the commits, and one sent after
 * 6 comes after 8 and -8. With both, a suspect's value was replaced before 1 and has not been back since. Asked
 * for more than L after 1 and answered as fresh, it can only be explained by staleness beyond L.
 *
 * Rejects when the evidence cannot be had.
 */
export async function judge(
  announced: Announced,
  answers: readonly Asked[],
  { readPrimary, caughtUp, isOvertaken }: Evidence,
): Promise<Judgement> {
  if (answers.every(({ answer }) => answer.kind === 'none')) return undecided('no answer')
  const held = answers.some(({ answer }) => answer.kind === 'value' || answer.kind === 'absent')
  const consistent: Verdict = { kind: 'consistent', held }

  if (suspectsAmong(answers, announced).length === 0) return { verdict: consistent, announced }
  const row = await readPrimary(announced.key)
  if (!isStill(announced, row)) return undecided('overtaken')
  const read = { ...announced, row }
  const suspects = suspectsAmong(answers, read)
  if (suspects.length === 0) return { verdict: consistent, announced: read }
  await caughtUp()
  if (isOvertaken()) return undecided('overtaken')
  return { verdict: { kind: 'inconsistent', suspects }, announced: read }

  function undecided(why: 'overtaken' | 'no answer'): Judgement {
    return { verdict: { kind: 'undecided', why }, announced }
  }
}

function suspectsAmong(answers: readonly Asked[], announced: Announced): Asked[] {
  return answers.filter(({ answer }) => !isAsAnnounced(answer, announced))
}

/** False as well where a value cannot be compared yet, because the row has not been read. */
function isAsAnnounced(answer: ReadOutcome, { version, row }: Announced): boolean {
  switch (answer.kind) {
    case 'value':
      return row?.digest === answer.digest
    case 'absent':
      return isAbsence(version) || row?.expired === true
    default:
      return true
  }
}

function isStill({ version }: Announced, row: Row | undefined): boolean {
  return isAbsence(version) ? row === undefined : row?.version === version
}

function isAbsence(version: Version): boolean {
  return version.startsWith('-')
}
