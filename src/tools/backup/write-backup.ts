import { type Header, headerLine } from './header.js'
import { Trailer, type TrailerCounts } from './trailer.js'

/** The line that stands after the last entry, as in PostgreSQL's own dumps: no entry can look like it. */
export const endOfEntries = '\\.\n'

/** A backup, piece by piece; docs/reference/backup-format.md describes it. `entries` is what COPY writes in its text format. */
export async function* writeBackup(
  header: Header,
  entries: AsyncIterable<Buffer>,
  onProgress: (tally: TrailerCounts) => void,
): AsyncGenerator<Buffer, void> {
  const seal = new Trailer()
  const frame = (text: string): Buffer => {
    seal.frame(text)
    return Buffer.from(text)
  }
  yield frame(headerLine(header))
  for await (const chunk of entries) {
    seal.entries(chunk)
    onProgress(seal.tally)
    yield chunk
  }
  yield frame(endOfEntries)
  yield Buffer.from(seal.line())
}
