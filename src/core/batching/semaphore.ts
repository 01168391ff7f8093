/** How many statements may be under way at once, over all batchers. A slot that is freed goes to who waited longest. */
export class Semaphore {
  readonly #count: number
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#count = count
    this.#free = count
  }

  /** How many are taken. */
  get taken(): number {
    return this.#count - this.#free
  }

  /** No statement is under way. */
  get isIdle(): boolean {
    return this.#free === this.#count
  }

  /** Calls `start` when there is a slot for it: at once, or later. */
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
