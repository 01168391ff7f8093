/** A map that counts the bytes of its values. */
export class SizedMap<V> implements Iterable<[string, V]> {
  readonly #bytesOf: (value: V) => number
  readonly #values = new Map<string, V>()
  #bytes = 0

  /** Creates an empty map. `bytesOf` must always return the same number for a value. */
  constructor(bytesOf: (value: V) => number) {
    this.#bytesOf = bytesOf
  }

  get size(): number {
    return this.#values.size
  }

  get bytes(): number {
    return this.#bytes
  }

  has(key: string): boolean {
    return this.#values.has(key)
  }

  get(key: string): V | undefined {
    return this.#values.get(key)
  }

  set(key: string, value: V): void {
    this.#bytes += this.#bytesOf(value) - this.#bytesAt(key)
    this.#values.set(key, value)
  }

  delete(key: string): void {
    this.#bytes -= this.#bytesAt(key)
    this.#values.delete(key)
  }

  clear(): void {
    this.#bytes = 0
    this.#values.clear()
  }

  /** Returns the size that the map would have with this value under the key. */
  bytesWith(key: string, value: V): number {
    return this.#bytes + this.#bytesOf(value) - this.#bytesAt(key)
  }

  [Symbol.iterator](): Iterator<[string, V]> {
    return this.#values[Symbol.iterator]()
  }

  #bytesAt(key: string): number {
    const value = this.#values.get(key)
    return value === undefined ? 0 : this.#bytesOf(value)
  }
}
