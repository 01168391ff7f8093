import { distance } from 'fastest-levenshtein'

/**
 * Returns `; did you mean NAME?` with the name that begins with `given`, or else with the nearest of the names; nothing
 * if that is further away than `mostMistakes` of it: the number of letters that are wrong, missing or too many. Two
 * neighbours that are swapped are one mistake.
 */
export function didYouMean(
  given: string,
  names: readonly string[],
  mostMistakes: (nearest: string) => number,
): string {
  // Any name begins with a letter or two.
  const longer = given.length > 2 ? names.find((name) => name.startsWith(given)) : undefined
  if (longer !== undefined) return `; did you mean ${longer}?`
  const [nearest] = names
    .map((name) => ({ name, mistakes: mistakesIn(given, name) }))
    .filter(({ name, mistakes }) => mistakes <= mostMistakes(name))
    .sort((one, other) => one.mistakes - other.mistakes)
  return nearest === undefined ? '' : `; did you mean ${nearest.name}?`
}

/** Returns the number of mistakes, or Infinity if so much of the text is wrong that the name cannot be meant. */
function mistakesIn(given: string, name: string): number {
  // A much longer text would take long to compare.
  if (given.length > 2 * name.length) return Number.POSITIVE_INFINITY
  const whole = editsBetween(given, name)
  const beginning = editsBetween(given, name.slice(0, given.length))
  const { length: letters } = given.replace(/^-+/, '')
  return Math.min(
    whole <= given.length / 2 ? whole : Number.POSITIVE_INFINITY,
    // The half prefers a whole name: `sed` is nearer to `set` than to `serve`.
    beginning <= letters / 3 ? beginning + 0.5 : Number.POSITIVE_INFINITY,
  )
}

/** Returns the Levenshtein distance, with one swap of neighbouring letters as one edit instead of two. */
function editsBetween(given: string, name: string): number {
  const swapped = Array.from(given.slice(1), (letter, index) =>
    distance(given.slice(0, index) + letter + given.charAt(index) + given.slice(index + 2), name),
  )
  return Math.min(distance(given, name), ...swapped.map((edits) => edits + 1))
}
