/** Limits the number of concurrent statements over all batchers. A freed slot goes to whoever has waited longest. */
export class Semaphore {
  readonly #count: number
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#count = count
    this.#free = count
  }

  /** Number of slots that are taken. */
  get taken(): number {
    return this.#count - this.#free
  }

  /** True if no slot is taken. */
  get isIdle(): boolean {
    return this.#free === this.#count
  }

  /** Calls `start` as soon as there is a slot for it, at once if one is free. */
  acquire(start: () => void): void {
    if (this.#free > 0) {
      this.#free--
      start()
    } else this.#waiting.push(start)
  }

  release(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}
