/**
 * Returns the value of the first header of this name, which must be in lower case. `request.headers` would parse all
 * headers, which costs more than the rest of a hit.
 */
export function headerOf(rawHeaders: readonly string[], name: string): string | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index] as string
    // Comparing lengths first rules out most names.
    if (given.length === name.length && given.toLowerCase() === name) return rawHeaders[index + 1]
  }
  return undefined
}

/** Returns true if a header of this name, which must be in lower case, is given more than once. */
export function isRepeated(rawHeaders: readonly string[], name: string): boolean {
  let isGiven = false
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index] as string
    if (given.length !== name.length || given.toLowerCase() !== name) continue
    if (isGiven) return true
    isGiven = true
  }
  return false
}
