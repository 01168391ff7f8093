import type { Bindings } from './bindings.js'

/** Reads of the keys of a binding since the process started. */
export interface ReadCount {
  /** Reads that were answered from memory as fresh. */
  hits: number
  /** Reads for which the store was asked, or should have been. */
  misses: number
}

/**
 * Counts the reads of each binding. An entry carries the count of its binding, so a hit does not look for the binding of
 * its key.
 */
export class BindingReads {
  readonly #bindings: Pick<Bindings, 'of'>
  readonly #counts = new Map<string, ReadCount>()

  constructor(bindings: Pick<Bindings, 'of'>) {
    this.#bindings = bindings
  }

  /** Returns the count of the binding that covers a key; undefined if there is none. */
  of(key: string): ReadCount | undefined {
    const binding = this.#bindings.of(key)
    return binding && this.ofPattern(binding.pattern.text)
  }

  ofPattern(pattern: string): ReadCount {
    const known = this.#counts.get(pattern)
    if (known) return known
    const count = { hits: 0, misses: 0 }
    this.#counts.set(pattern, count)
    return count
  }
}
