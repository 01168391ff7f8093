const capacity = 10_000

/** Set of keys by their ids. Beyond its capacity, it contains all keys. */
export class ObservedKeys {
  readonly #ids = new Set<string>()
  #all = false

  add(id: string): void {
    if (this.#all) return
    this.#ids.add(id)
    if (this.#ids.size <= capacity) return
    this.#all = true
    this.#ids.clear()
  }

  has(id: string): boolean {
    return this.#all || this.#ids.has(id)
  }
}
