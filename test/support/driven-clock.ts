import type { Clock } from '../../src/core/ports.js'

/** A clock that stands still until the test moves it. */
export class DrivenClock implements Clock {
  #nowMs: number

  /** Not from 0, so that a time taken for a duration is noticed. */
  constructor(nowMs = 1_000_000) {
    this.#nowMs = nowMs
  }

  now(): number {
    return this.#nowMs
  }

  advance(ms: number): void {
    this.#nowMs += ms
  }

  /** Runs the task after the caller has yielded. */
  defer(task: () => void): void {
    queueMicrotask(task)
  }
}
