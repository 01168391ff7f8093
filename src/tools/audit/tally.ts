import type { Asked, ReadOutcome } from './answer.js'
import type { Checkpoint } from './checkpoints.js'
import { errorRateAtMost } from './error-rate.js'
import type { Verdict } from './verdict.js'
import type { Violation } from './violation.js'

export interface Report {
  readonly elapsedMs: number
  /** Number of changes received. */
  readonly changes: number
  /** Number of changes that named no key, or only the hash of one. */
  readonly unnamed: number
  /** Number of changes that were chosen to be followed. */
  readonly sampled: number
  /** Number of samples that were ended by a newer change of the key, or by a loss of the feed. */
  readonly overtaken: number
  readonly feedLosses: number
  readonly primaryReads: number
  readonly within: readonly Within[]
  readonly violations: number
  /** First few violations. */
  readonly examples: readonly Violation[]
  readonly sidecars: readonly SidecarAnswers[]
}

export interface Within {
  readonly ms: number
  /** Number of sampled writes with a verdict at this checkpoint. */
  readonly writes: number
  /** Number of these writes that were consistent on every sidecar. */
  readonly consistent: number
  /** Number of writes of which at least one sidecar claimed a value or an absence, and so could be wrong. */
  readonly held: number
  readonly errorRateAtMost: number | undefined
}

/** Number of answers of one sidecar, by kind. */
export interface SidecarAnswers {
  readonly url: string
  readonly fresh: number
  readonly nothing: number
  readonly stale: number
  readonly unanswered: number
}

const maxExamples = 20

const columns = {
  value: 'fresh',
  absent: 'fresh',
  nothing: 'nothing',
  stale: 'stale',
  none: 'unanswered',
} as const satisfies Readonly<Record<ReadOutcome['kind'], keyof SidecarAnswers>>

/** Counters of an audit. */
export class AuditTally {
  changes = 0
  unnamed = 0
  sampled = 0
  overtaken = 0
  feedLosses = 0
  primaryReads = 0
  #violations = 0
  readonly #examples: Violation[] = []
  readonly #within: { readonly ms: number; writes: number; consistent: number; held: number }[]
  readonly #sidecars

  constructor(urls: readonly string[], checkpoints: readonly Checkpoint[]) {
    this.#within = checkpoints.map(({ ms }) => ({ ms, writes: 0, consistent: 0, held: 0 }))
    this.#sidecars = new Map(urls.map((url) => [url, { url, fresh: 0, nothing: 0, stale: 0, unanswered: 0 }]))
  }

  answered(answers: readonly Asked[]): void {
    for (const { sidecar, answer } of answers) {
      const counts = this.#sidecars.get(sidecar)
      if (counts) counts[columns[answer.kind]]++
    }
  }

  judged({ ms }: Checkpoint, verdict: Verdict): void {
    const counts = this.#within.find((one) => one.ms === ms)
    if (counts === undefined || verdict.kind === 'undecided') return
    counts.writes++
    if (verdict.kind === 'consistent') counts.consistent++
    if (verdict.kind === 'inconsistent' || verdict.held) counts.held++
  }

  violated(violation: Violation): void {
    this.#violations++
    if (this.#examples.length < maxExamples) this.#examples.push(violation)
  }

  report(elapsedMs: number): Report {
    const { changes, unnamed, sampled, overtaken, feedLosses, primaryReads } = this
    return {
      elapsedMs,
      changes,
      unnamed,
      sampled,
      overtaken,
      feedLosses,
      primaryReads,
      within: this.#within.map((counts) => ({
        ...counts,
        errorRateAtMost: errorRateAtMost(counts.writes - counts.consistent, counts.writes),
      })),
      violations: this.#violations,
      examples: [...this.#examples],
      sidecars: [...this.#sidecars.values()].map((counts) => ({ ...counts })),
    }
  }
}
