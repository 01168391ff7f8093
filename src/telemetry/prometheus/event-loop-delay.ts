import { Histogram } from '../../core/histogram.js'
import type { Clock } from '../../core/ports.js'

const intervalMs = 50
const boundsInSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * Measures how late a timer fires, because everything else in the event loop waits as long. Node's own histogram of the
 * delay yields quantiles, which cannot be aggregated over pods, and resetting it would make them depend on who read it
 * last.
 */
export class EventLoopDelay {
  readonly #clock: Pick<Clock, 'now'>
  readonly seconds = new Histogram(boundsInSeconds)
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  start(): void {
    let dueMs = this.#clock.now() + intervalMs
    this.#timer = setInterval(() => {
      const nowMs = this.#clock.now()
      this.seconds.observe(Math.max(0, nowMs - dueMs) / 1_000)
      dueMs = nowMs + intervalMs
    }, intervalMs)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
