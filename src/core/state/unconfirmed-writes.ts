import type { Version } from '../entry.js'
import { changeName } from './change-name.js'

/**
 * Writes of this sidecar that have been acknowledged, but whose change has not come back yet. Every write serves as an
 * echo: a probe sent after its acknowledgement cannot be answered before its change has been delivered. If it is, the
 * session receives nothing or the triggers are missing, and the feed proves nothing.
 */
export class UnconfirmedWrites {
  /** Time at which each was acknowledged, in ms, oldest first. */
  readonly #acknowledgedMs = new Map<string, number>()

  acknowledged(id: string, version: Version, nowMs: number): void {
    this.#acknowledgedMs.set(changeName(id, version), nowMs)
  }

  confirmed(id: string, version: Version): void {
    if (this.#acknowledgedMs.size > 0) this.#acknowledgedMs.delete(changeName(id, version))
  }

  /** Returns true if the change of a write that was acknowledged before this moment has not come back. */
  anyBefore(momentMs: number): boolean {
    for (const acknowledgedMs of this.#acknowledgedMs.values()) return acknowledgedMs < momentMs
    return false
  }

  clear(): void {
    this.#acknowledgedMs.clear()
  }
}
