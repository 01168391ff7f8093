import { distance } from 'fastest-levenshtein'

/**
 * Returns the name that was probably meant, ignoring case: a name may have one wrong letter for each
 * `lettersPerMistake` of its letters.
 */
export function nearestName<Name extends string>(
  given: string,
  names: readonly Name[],
  lettersPerMistake: number,
): Name | undefined {
  // A much longer text cannot be one of the names, and would take long to compare.
  return names.find(
    (name) =>
      given.length < 2 * name.length &&
      distance(given.toLowerCase(), name.toLowerCase()) <= name.length / lettersPerMistake,
  )
}
