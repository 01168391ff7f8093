import { fileLines } from './file-lines.js'

/** Reads a list of keys that a user has written: one key per line, the most wanted first. Empty lines are ignored. */
export async function readKeyList(path: string, most: number): Promise<string[]> {
  const keys: string[] = []
  for await (const lines of fileLines(path)) {
    for (const line of lines) {
      const key = line.endsWith('\r') ? line.slice(0, -1) : line
      if (key !== '') keys.push(key)
      if (keys.length === most) return keys
    }
  }
  return keys
}
