import { shortValue } from '../entry-value.js'
import type { History } from './history.js'

export interface FreshRead {
  readonly key: string
  readonly value: string | null
  readonly invokeMs: number
  readonly returnMs: number
}

/**
 * Bounded staleness: a value that is not marked stale was current at some moment within the last L ms before the
 * read was called. The sidecar decides a little after the call, so what it may serve then is never older
 * than that. Holds for values from memory and for those that came from the database, where a read may have
 * joined a fill that began up to L ago.
 */
export class StalenessCheck {
  readonly #history: History
  readonly #limitMs: number
  /** Hits by their staleness in whole ms; the last one is for all that is longer. */
  readonly #hits = new Uint32Array(20_001)
  #checked = 0
  #maxMs = 0

  constructor(history: History, limitMs: number) {
    this.#history = history
    this.#limitMs = limitMs
  }

  /** Reads checked, hits and others. */
  get checked(): number {
    return this.#checked
  }

  get maxMs(): number {
    return this.#maxMs
  }

  /** Returns the error in this read, or undefined. */
  check({ key, value, invokeMs, returnMs }: FreshRead, isHit: boolean): string | undefined {
    const stalenessMs = this.#history.stalenessMs(key, value, invokeMs, returnMs)
    // Another checker reports it: no client wrote this value.
    if (stalenessMs === undefined) return undefined
    this.#checked++
    if (isHit) {
      this.#maxMs = Math.max(this.#maxMs, stalenessMs)
      const bucket = Math.min(Math.ceil(stalenessMs), this.#hits.length - 1)
      this.#hits[bucket] = (this.#hits[bucket] ?? 0) + 1
    }
    if (stalenessMs <= this.#limitMs) return undefined
    return (
      `${shortValue(value)} served as fresh, overwritten at least ${Math.round(stalenessMs)} ms before the read ` +
      `was sent (L is ${this.#limitMs} ms)`
    )
  }

  /** Returns a percentile of the staleness of the hits, in ms. */
  percentile(share: number): number {
    const total = this.#hits.reduce((sum, count) => sum + count, 0)
    let below = 0
    for (const [stalenessMs, count] of this.#hits.entries()) {
      below += count
      if (below >= total * share) return stalenessMs
    }
    return 0
  }
}
