import { type Header, headerLine } from './header.js'
import { Trailer, type TrailerCounts } from './trailer.js'

/** Line after the last entry, as in PostgreSQL's own dumps. No entry can look like it. */
export const endOfEntries = '\\.\n'

/** Returns a backup in chunks (docs/reference/backup-format.md). `entries` is the output of COPY in text format. */
export async function* writeBackup(
  header: Header,
  entries: AsyncIterable<Buffer>,
  onProgress: (tally: TrailerCounts) => void,
): AsyncGenerator<Buffer, void> {
  const trailer = new Trailer()
  const frame = (text: string): Buffer => {
    trailer.frame(text)
    return Buffer.from(text)
  }
  yield frame(headerLine(header))
  for await (const chunk of entries) {
    trailer.entries(chunk)
    onProgress(trailer.tally)
    yield chunk
  }
  yield frame(endOfEntries)
  yield Buffer.from(trailer.line())
}
