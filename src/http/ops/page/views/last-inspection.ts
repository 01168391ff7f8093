import type { Clock } from '../../../../core/ports.js'
import type { FindingsView, ShownFinding } from '../view-data.js'

/** Time for which an inspection is answered again, because each takes several connections. */
const keptMs = 10_000

/** The last inspection of the database. There is never more than one at a time. */
export class LastInspection {
  readonly #inspectDatabase: () => Promise<readonly ShownFinding[]>
  readonly #clock: Pick<Clock, 'now'>
  #last: Promise<FindingsView> | undefined
  #outdatedMs = Number.POSITIVE_INFINITY

  constructor(inspectDatabase: () => Promise<readonly ShownFinding[]>, clock: Pick<Clock, 'now'>) {
    this.#inspectDatabase = inspectDatabase
    this.#clock = clock
  }

  /** Returns the last inspection, or a new one if that is outdated. */
  get(): Promise<FindingsView> {
    if (this.#last === undefined || this.#clock.now() > this.#outdatedMs) {
      this.#outdatedMs = Number.POSITIVE_INFINITY
      this.#last = this.#inspect().finally(() => {
        this.#outdatedMs = this.#clock.now() + keptMs
      })
    }
    return this.#last
  }

  async #inspect(): Promise<FindingsView> {
    const findings = await this.#inspectDatabase()
    return { atMs: Date.now(), findings }
  }
}
