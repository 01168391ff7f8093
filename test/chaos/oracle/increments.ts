/** A counter in its entry: `n` counts from 0, and `run` is another one each time that it begins anew. */
export interface Counter {
  readonly run: string
  readonly n: number
}

/** An increment that was sent. `to` is the counter that it makes. */
export interface Increment {
  readonly to: Counter
  readonly era: number
}

export type IncrementOutcome = 'ok' | 'unmet' | 'unknown' | 'failed'

interface Steps {
  /** Numbers that acknowledged increments have made, and the number of those that may have happened as well. */
  readonly acknowledged: Set<number>
  unknown: number
  lowest: number
}

/**
 * Counts the increments that clients make with If-Match. No two of them make the same number: the later one would have
 * overwritten the earlier. An era ends when other data take the place of what there was: the same number may be made once
 * more then. An increment that was sent in one era and answered in the next may have happened in either.
 */
export class Increments {
  readonly counts: Record<IncrementOutcome, number> = { ok: 0, unmet: 0, unknown: 0, failed: 0 }
  readonly #onViolation: (text: string) => void
  #era = 0
  #runs = new Map<string, Steps>()

  constructor(onViolation: (text: string) => void) {
    this.#onViolation = onViolation
  }

  /** Other data take the place of what there was. */
  beginAnew(): void {
    this.#era++
    this.#runs = new Map()
  }

  begin(to: Counter): Increment {
    return { to, era: this.#era }
  }

  end({ to: { run, n }, era }: Increment, outcome: IncrementOutcome): void {
    this.counts[outcome]++
    if (outcome === 'unmet' || outcome === 'failed') return
    const steps = this.#runs.get(run) ?? { acknowledged: new Set(), unknown: 0, lowest: n }
    this.#runs.set(run, steps)
    steps.lowest = Math.min(steps.lowest, n)
    if (outcome === 'unknown' || era !== this.#era) steps.unknown++
    else if (steps.acknowledged.has(n))
      this.#onViolation(`two increments of ${run} to ${n} were acknowledged`)
    else steps.acknowledged.add(n)
  }

  /** Compares the counter at the end, after all increments have been answered, with those that were acknowledged. */
  check({ run, n }: Counter): void {
    const steps = this.#runs.get(run)
    if (steps === undefined) return
    const { acknowledged, unknown, lowest } = steps
    const made = n - lowest + 1
    if (made < acknowledged.size || made > acknowledged.size + unknown)
      this.#onViolation(
        `${run} is at ${n} after ${made} increments, of which ${acknowledged.size} were acknowledged and ${unknown} are unknown`,
      )
  }
}
