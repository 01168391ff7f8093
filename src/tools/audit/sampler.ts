import type { Change } from '../../core/entry.js'
import { isHashed } from '../../core/state/key-id.js'
import { Sample, type SampleParts } from './sample.js'
import type { AuditTally } from './tally.js'

export interface SamplerOptions {
  /** Share of the changes that is followed, from 0 to 1. */
  readonly rate: number
  /** Maximum number of running samples. At the maximum, no further change is sampled. */
  readonly maxUnderWay: number
}

export interface SamplerParts extends SampleParts {
  readonly tally: AuditTally
  /** Returns a random number from 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number
}

/** Chooses changes to follow, at most one per key at a time. */
export class Sampler {
  readonly #options: SamplerOptions
  readonly #parts: SamplerParts
  readonly #current = new Map<string, Sample>()
  readonly #running = new Set<Promise<void>>()
  #closed = false

  constructor(options: SamplerOptions, parts: SamplerParts) {
    this.#options = options
    this.#parts = parts
  }

  get underWay(): number {
    return this.#running.size
  }

  changed(change: Change): void {
    const { tally, random } = this.#parts
    tally.changes++
    if (change.kind !== 'key') {
      tally.unnamed++
      this.#overtakeAll()
      return
    }
    const { id, version } = change
    const earlier = this.#current.get(id)
    if (earlier?.version === version) return
    if (earlier) this.#overtake(earlier)
    if (!isKey(id)) tally.unnamed++
    else if (!this.#closed && this.underWay < this.#options.maxUnderWay && random() < this.#options.rate)
      this.#start(new Sample(id, version, this.#parts))
  }

  /** Ends all samples, because changes may have been missed. */
  lost(): void {
    this.#overtakeAll()
  }

  /** Sends no more questions, and resolves when the answers to earlier ones are judged. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    for (const sample of this.#current.values()) sample.stop()
    await Promise.all(this.#running)
  }

  #start(sample: Sample): void {
    this.#parts.tally.sampled++
    this.#current.set(sample.key, sample)
    const running = sample.run().then(() => {
      this.#running.delete(running)
      if (this.#current.get(sample.key) === sample) this.#current.delete(sample.key)
    })
    this.#running.add(running)
  }

  #overtake(sample: Sample): void {
    this.#parts.tally.overtaken++
    this.#current.delete(sample.key)
    sample.overtake()
  }

  #overtakeAll(): void {
    for (const sample of this.#current.values()) this.#overtake(sample)
  }
}

/** Returns true if the id is a key. The id of a long key is a hash after U+0000, and sidecars refuse an empty key. */
function isKey(id: string): boolean {
  return id !== '' && !isHashed(id)
}
