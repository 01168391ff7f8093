import { didYouMean } from '../text/did-you-mean.js'

/** Returns `; did you mean NAME?` with the command or option that was probably meant, or nothing if none is near. */
export function suggestion(given: string, names: readonly string[]): string {
  return didYouMean(given, names, (nearest) => {
    const mistakes = Math.max(2, Math.floor(nearest.length / 4))
    // A text of so few letters is near to any name.
    return given.length > mistakes ? mistakes : -1
  })
}
