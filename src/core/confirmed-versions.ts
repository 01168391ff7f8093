import type { Version } from './entry.js'

const places = 16_384

/**
 * Versions that the store has told this sidecar of, by acknowledging a write or by answering a fill that was put. Nothing
 * older than these is served here any more (P11). A version that is not among them may be one all the same.
 *
 * Versions are unique and come from one sequence (P1), so each has a place, which the next one with the same place takes,
 * 16,384 versions later.
 */
export class ConfirmedVersions {
  readonly #versions: (Version | undefined)[] = new Array(places).fill(undefined)

  add(version: Version): void {
    const place = placeOf(version)
    if (place !== undefined) this.#versions[place] = version
  }

  has(version: Version): boolean {
    const place = placeOf(version)
    return place !== undefined && this.#versions[place] === version
  }

  clear(): void {
    this.#versions.fill(undefined)
  }
}

/** None for 0: every row that is older than versions has it. */
function placeOf(version: Version): number | undefined {
  const number = Math.abs(Number(version))
  return number === 0 ? undefined : number % places
}
