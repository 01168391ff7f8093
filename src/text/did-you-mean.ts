import { closest, distance } from 'fastest-levenshtein'

/**
 * Returns `; did you mean NAME?` with the name that begins with `given`, or else with the nearest of the names; nothing
 * if that is further away than `mostMistakes` of it: the number of letters that are wrong, missing or too many.
 */
export function didYouMean(
  given: string,
  names: readonly string[],
  mostMistakes: (nearest: string) => number,
): string {
  // Any name begins with a letter or two.
  const longer = given.length > 2 ? names.find((name) => name.startsWith(given)) : undefined
  if (longer !== undefined) return `; did you mean ${longer}?`
  if (names.length === 0) return ''
  const nearest = closest(given, names)
  return distance(given, nearest) <= mostMistakes(nearest) ? `; did you mean ${nearest}?` : ''
}
