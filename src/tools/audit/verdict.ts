import type { Version } from '../../core/entry.js'
import type { Asked, ReadOutcome } from './answer.js'
import type { Row } from './primary.js'

/** Announced change, with its row if that is known. */
export interface Announced {
  readonly key: string
  readonly version: Version
  /** Row of that version, once it has been read. Always undefined for an absence. */
  readonly row: Row | undefined
}

export interface Evidence {
  /** Returns what the primary stores under the key now. */
  readonly readPrimary: (key: string) => Promise<Row | undefined>
  /** Resolves when every change that was visible at the time of the call has been received here. */
  readonly caughtUp: () => Promise<void>
  /** Returns true if a newer change of the key has been received, or may have been missed. */
  readonly isOvertaken: () => boolean
}

export type Verdict =
  /** No sidecar claims anything but what was announced. `held` is true if at least one claims it. */
  | { readonly kind: 'consistent'; readonly held: boolean }
  /** The suspects claim what the announced change had replaced. */
  | { readonly kind: 'inconsistent'; readonly suspects: readonly Asked[] }
  | { readonly kind: 'undecided'; readonly why: 'overtaken' | 'no answer' | 'no evidence' }

export interface Judgement {
  readonly verdict: Verdict
  /** Change, with its row if that was read meanwhile. */
  readonly announced: Announced
}

/**
 * Judges whether these answers, given after the change was announced, agree with the change. An announcement names a
 * version, and answers contain values. So the primary is read if an answer is neither "nothing" nor what is already
 * known of that version: once for most changes, and never for changes of keys that no sidecar holds. Comparing only the
 * sidecars with each other would not show a value that is stale on all of them.
 *
 * A different answer is not necessarily a stale one:
 *
 *   1. version 7 of the key is announced           4. asked, the sidecar answers with the value of 8
 *   2. the key is written again: 8                 5. the announcement of 8 arrives here
 *   3. a sidecar reads 8 and keeps it
 *
 * So the primary is read after the answer. Versions never repeat: if the row is still 7 then, it has been 7 at every
 * moment since 1. A deleted row has no version that could be compared:
 *
 *   1. the absence of the key is announced: -7     4. asked, the sidecar answers with the value of 8
 *   2. the key is inserted again: 8                5. the key is deleted again: -8
 *   3. a sidecar reads 8 and keeps it              6. the primary is read: gone, as announced
 *
 * So after that, the feed has to catch up: notifications arrive in commit order, and one that is sent after 6 arrives
 * after 8 and -8. Both together show that the value of a suspect was replaced before 1, and has not been stored again
 * since. If it was asked for more than L after 1, and was served as fresh, only staleness beyond L can explain it.
 *
 * Rejects if the evidence is not available.
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

/** Returns true if the answer agrees with the change; false also if the row has not been read yet. */
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
