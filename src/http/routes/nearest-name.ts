import { distance } from 'fastest-levenshtein'

/**
 * Returns the one of `names` that is probably meant: with one wrong letter for each `lettersPerMistake` of its own, in any
 * case.
 */
export function nearestName<Name extends string>(
  given: string,
  names: readonly Name[],
  lettersPerMistake: number,
): Name | undefined {
  // A name that is much longer is none of these, and would take long to compare.
  return names.find(
    (name) =>
      given.length < 2 * name.length &&
      distance(given.toLowerCase(), name.toLowerCase()) <= name.length / lettersPerMistake,
  )
}
