import type { Clock } from '../../core/ports.js'

export interface WarningLog {
  warn(fields: object, message: string): void
}

const intervalMs = 60_000

/**
 * Warning about events that can happen thousands of times a second. Logged at most once a minute, with a count of
 * events.
 */
export class RareWarning {
  readonly #clock: Clock
  readonly #log: WarningLog
  readonly #message: string
  #loggedMs = Number.NEGATIVE_INFINITY
  #count = 0

  constructor({ clock, log, message }: { clock: Clock; log: WarningLog; message: string }) {
    this.#clock = clock
    this.#log = log
    this.#message = message
  }

  add(fields: object): void {
    this.#count++
    const nowMs = this.#clock.now()
    if (nowMs - this.#loggedMs < intervalMs) return
    this.#log.warn({ ...fields, count: this.#count }, this.#message)
    this.#loggedMs = nowMs
    this.#count = 0
  }
}
