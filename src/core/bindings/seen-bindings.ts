import type { Binding } from './bindings.js'
import type { KeyPattern } from './key-pattern.js'

/** The bindings as the change feed has seen them last, to notice differences. */
export class SeenBindings {
  #seen: ReadonlyMap<string, Binding> = new Map()

  /**
   * Records the bindings, and returns the patterns of those that are new, gone or changed. What is held of their keys
   * may be wrong.
   */
  seen(bindings: readonly Binding[]): readonly KeyPattern[] {
    const before = this.#seen
    this.#seen = new Map(bindings.map((binding) => [binding.pattern.text, binding]))
    const gone = [...before.values()].filter(({ pattern }) => !this.#seen.has(pattern.text))
    const changed = bindings.filter(
      ({ pattern, fingerprint }) => before.get(pattern.text)?.fingerprint !== fingerprint,
    )
    return [...gone, ...changed].map(({ pattern }) => pattern)
  }
}
