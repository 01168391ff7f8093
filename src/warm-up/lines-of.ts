import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'

/** A line can only be a key and some quoting: more of it is no list of keys. */
const longestLine = 65_536

/** The lines of a file in UTF-8, those of each piece that was read together. Throws where it cannot be read. */
export async function* linesOf(path: string): AsyncGenerator<readonly string[], void> {
  // Opening a FIFO that nobody writes to would wait for ever, and hold up the shutdown.
  if (!(await stat(path)).isFile()) throw new Error('it is not a regular file')
  let rest = ''
  for await (const text of createReadStream(path, { encoding: 'utf8' })) {
    // Not by node:readline: it breaks lines at U+2028, too, which a key may contain.
    const lines = (rest + text).split('\n')
    rest = lines.pop() as string
    if (rest.length > longestLine) throw new Error(`a line is longer than ${longestLine} characters`)
    yield lines
  }
  if (rest !== '') yield [rest]
}
