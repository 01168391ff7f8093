import type { Version } from '../entry.js'
import { changeName } from './change-name.js'

/**
 * Own writes that have been acknowledged and whose change has not come back yet. Every write is an echo: a
 * probe sent after its acknowledgement cannot be answered before its change has been delivered. When it
 * is, the session is deaf or the triggers are gone, and the feed proves nothing.
 */
export class UnconfirmedWrites {
  /** When each was acknowledged, in ms; oldest first. */
  readonly #acknowledgedMs = new Map<string, number>()

  acknowledged(id: string, version: Version, nowMs: number): void {
    this.#acknowledgedMs.set(changeName(id, version), nowMs)
  }

  heard(id: string, version: Version): void {
    if (this.#acknowledgedMs.size > 0) this.#acknowledgedMs.delete(changeName(id, version))
  }

  /** Has one that was acknowledged before this moment not come back? */
  anyBefore(momentMs: number): boolean {
    for (const acknowledgedMs of this.#acknowledgedMs.values()) return acknowledgedMs < momentMs
    return false
  }

  clear(): void {
    this.#acknowledgedMs.clear()
  }
}
