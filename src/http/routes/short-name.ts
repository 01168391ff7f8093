/** Returns a name that a client gave, in a length and a form that fits into a message. */
export function shortName(name: string): string {
  return name.length > 64 ? `${name.slice(0, 64).toWellFormed()}...` : name.toWellFormed()
}
