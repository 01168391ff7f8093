/** Throws if a value is not the one that is wanted. */
export function expect(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`)
}

/** Throws with all faults, if there are any. */
export function expectNone(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(faults.join('\n'))
}
