/**
 * The first header of this name, which is in lower case. `request.headers` would take all of them in, which costs more than
 * the rest of a hit.
 */
export function headerOf(rawHeaders: readonly string[], name: string): string | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index] as string
    // Most names are told apart by their length.
    if (given.length === name.length && given.toLowerCase() === name) return rawHeaders[index + 1]
  }
  return undefined
}
