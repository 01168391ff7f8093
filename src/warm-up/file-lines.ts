import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'

/** Maximum length of a line. A longer one cannot be a key with some quoting, so the file is not a list of keys. */
const longestLine = 65_536

/**
 * Yields the lines of a file in UTF-8, together those of each chunk that was read. Throws if the file cannot be read.
 */
export async function* fileLines(path: string): AsyncGenerator<readonly string[], void> {
  // Opening a FIFO that has no writer would block forever, and delay the shutdown.
  if (!(await stat(path)).isFile()) throw new Error('it is not a regular file')
  let rest = ''
  for await (const text of createReadStream(path, { encoding: 'utf8' })) {
    // node:readline does not fit: it also breaks lines at U+2028, which a key may contain.
    const lines = (rest + text).split('\n')
    rest = lines.pop() as string
    if (rest.length > longestLine) throw new Error(`a line is longer than ${longestLine} characters`)
    yield lines
  }
  if (rest !== '') yield [rest]
}
