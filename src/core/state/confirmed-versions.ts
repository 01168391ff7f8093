import type { Version } from '../entry.js'

const usualPlaces = 16_384

/**
 * Versions that the store has confirmed to this sidecar, by acknowledging a write or by answering a fill that was put.
 * The sidecar never again serves anything older than these (P11). A version that is missing here may still have been
 * confirmed.
 *
 * Each version has a place, determined by its sequence number (P1). The version that is drawn so many versions later
 * as there are places takes the same place: 16,384, if nothing else is asked for.
 */
export class ConfirmedVersions {
  readonly #versions: (Version | undefined)[]

  constructor(places = usualPlaces) {
    this.#versions = new Array(places).fill(undefined)
  }

  add(version: Version): void {
    const place = placeOf(version, this.#versions.length)
    if (place !== undefined) this.#versions[place] = version
  }

  has(version: Version): boolean {
    const place = placeOf(version, this.#versions.length)
    return place !== undefined && this.#versions[place] === version
  }

  clear(): void {
    this.#versions.fill(undefined)
  }
}

const randomBits = 2 ** 24

/**
 * Returns the place of a version; undefined for version 0, which every row has that was written before there were
 * versions.
 */
function placeOf(version: Version, places: number): number | undefined {
  const number = Math.abs(Number(version))
  if (number === 0) return undefined
  // Versions from release 0.1 are the sequence number itself.
  return (number < randomBits ? number : Math.floor(number / randomBits)) % places
}
