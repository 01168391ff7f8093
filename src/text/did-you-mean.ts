import { distance } from 'fastest-levenshtein'

/** Returns `; did you mean NAME?` with the name that was probably meant, or nothing if none is near. */
export function didYouMean(given: string, names: readonly string[]): string {
  const name = nearestOf(given, names)
  return name === undefined ? '' : `; did you mean ${name}?`
}

/**
 * Returns the name that begins with `given` or has it as one of its words, or else the one with the fewest mistakes, if
 * at most two fifths of the letters of `given` are wrong. Three letters stand for a name that begins like them, too.
 * Case does not matter.
 */
export function nearestOf(given: string, names: readonly string[]): string | undefined {
  const letters = given.replace(/^-+/, '').length
  const mayBeBeginning = letters > 2
  const text = given.toLowerCase()
  const longer =
    names.find((name) => name.toLowerCase().startsWith(text)) ??
    names.find((name) => name.toLowerCase().split(/[-_]/).includes(text))
  if (mayBeBeginning && longer !== undefined) return longer
  const [nearest] = names
    // A much longer text would take long to compare.
    .filter((name) => given.length <= 2 * name.length)
    .map((name) => {
      const wanted = name.toLowerCase()
      const whole = mistakesIn(text, wanted)
      const beginning = mayBeBeginning ? mistakesIn(text, wanted.slice(0, text.length)) : whole
      // The half prefers a whole name: `sed` is nearer to `set` than to `serve`.
      return { name, mistakes: Math.min(whole, beginning + 0.5) }
    })
    .filter(({ mistakes }) => Math.floor(mistakes) <= 0.4 * letters)
    .sort((one, other) => one.mistakes - other.mistakes)
  return nearest?.name
}

/**
 * Returns the number of letters that are wrong, missing or too many (the Levenshtein distance). Two neighbours that are
 * swapped are one mistake.
 */
function mistakesIn(given: string, name: string): number {
  const swapped = Array.from(given.slice(1), (letter, index) =>
    distance(given.slice(0, index) + letter + given.charAt(index) + given.slice(index + 2), name),
  )
  return Math.min(distance(given, name), ...swapped.map((mistakes) => mistakes + 1))
}
