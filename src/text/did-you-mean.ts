import { closest, distance } from 'fastest-levenshtein'

/**
 * Returns `; did you mean NAME?` with the nearest of the names, or nothing if it is further away than `mostMistakes` of
 * it: the number of letters that are wrong, missing or too many.
 */
export function didYouMean(
  given: string,
  names: readonly string[],
  mostMistakes: (nearest: string) => number,
): string {
  const nearest = closest(given, names)
  return distance(given, nearest) <= mostMistakes(nearest) ? `; did you mean ${nearest}?` : ''
}
