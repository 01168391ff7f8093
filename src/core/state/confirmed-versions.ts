import type { Version } from '../entry.js'

const places = 16_384

/**
 * Versions that the store has told this sidecar of, by acknowledging a write or by answering a fill that was put. Nothing
 * older than these is served here any more (P11). A version that is not among them may be one all the same.
 *
 * Each version has a place, by its number in the sequence that versions come from (P1). The version that is drawn 16,384
 * versions later takes the same place.
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

const randomBits = 2 ** 24

/** Returns undefined for version 0, which every row has that was written before there were versions. */
function placeOf(version: Version): number | undefined {
  const number = Math.abs(Number(version))
  if (number === 0) return undefined
  // Versions of 0.1 are the number in the sequence itself.
  return (number < randomBits ? number : Math.floor(number / randomBits)) % places
}
