import type { Version } from '../../core/entry.js'
import type { Asked } from './answer.js'
import type { AuditClock } from './audit-clock.js'
import type { Checkpoint } from './checkpoints.js'
import { type Announced, type Evidence, judge, type Verdict } from './verdict.js'

export interface SampleParts extends Omit<Evidence, 'isOvertaken'> {
  readonly clock: AuditClock
  readonly checkpoints: readonly Checkpoint[]
  /** Asks every sidecar what it would serve. Never rejects. */
  readonly ask: (key: string) => Promise<readonly Asked[]>
  readonly onAnswers: (answers: readonly Asked[]) => void
  readonly onVerdict: (sample: Sample, checkpoint: Checkpoint, verdict: Verdict) => void
}

/** Delay of a question from which a consistent answer says nothing about its checkpoint. */
const lateMs = 250

/** One announced change, which is followed through all checkpoints, or until a newer change of the key ends it. */
export class Sample {
  readonly key: string
  readonly version: Version
  /** Moment at which the announcement was received. The commit was earlier. */
  readonly announcedMs: number
  readonly #parts: SampleParts
  readonly #ended = new AbortController()
  #announced: Announced
  #overtaken = false

  constructor(key: string, version: Version, parts: SampleParts) {
    this.key = key
    this.version = version
    this.announcedMs = parts.clock.now()
    this.#parts = parts
    this.#announced = { key, version, row: undefined }
  }

  /** Asks at all checkpoints. Resolves when all answers are judged. Never rejects. */
  async run(): Promise<void> {
    // Checkpoints run independently, because a sidecar that does not answer must not delay the next one.
    await Promise.all(this.#parts.checkpoints.map((checkpoint) => this.#check(checkpoint)))
  }

  /** Ends the sample because a newer change was received, or may have been missed: no verdict is possible any more. */
  overtake(): void {
    this.#overtaken = true
    this.#ended.abort()
  }

  /** Sends no more questions. Answers to earlier questions are still judged. */
  stop(): void {
    this.#ended.abort()
  }

  async #check(checkpoint: Checkpoint): Promise<void> {
    const { clock, ask, readPrimary, caughtUp, onAnswers, onVerdict } = this.#parts
    await clock.sleep(this.announcedMs + checkpoint.askAtMs - clock.now(), this.#ended.signal)
    if (this.#ended.signal.aborted) return
    const isLate = clock.now() > this.announcedMs + checkpoint.askAtMs + lateMs
    const answers = await ask(this.key)
    onAnswers(answers)
    try {
      const { verdict, announced } = await judge(this.#announced, answers, {
        readPrimary,
        caughtUp,
        isOvertaken: () => this.#overtaken,
      })
      this.#announced = announced
      if (verdict.kind !== 'consistent' || !isLate) onVerdict(this, checkpoint, verdict)
    } catch {
      // The primary or the feed is unavailable; the follower reports it.
      onVerdict(this, checkpoint, { kind: 'undecided', why: 'no evidence' })
    }
  }
}
