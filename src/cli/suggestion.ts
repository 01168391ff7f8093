import { closest, distance } from 'fastest-levenshtein'

/** Returns `; did you mean NAME?` with the name that was probably meant, or nothing if none is near. */
export function didYouMean(given: string, names: readonly string[]): string {
  const nearest = closest(given, names)
  const mistakes = Math.max(2, Math.floor(nearest.length / 4))
  const isNear = distance(given, nearest) <= mistakes && given.length > mistakes
  return isNear ? `; did you mean ${nearest}?` : ''
}
