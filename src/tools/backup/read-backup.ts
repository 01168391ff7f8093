import { ChunkReader } from './chunk-reader.js'
import { type Header, headerCutOff, headerLine, parseHeader } from './header.js'
import { Trailer, type TrailerCounts } from './trailer.js'
import { endOfEntries } from './write-backup.js'

export interface OpenedBackup {
  readonly header: Header
  /**
   * Returns the entries for COPY. Must be called only once. If the backup is truncated or altered, the generator
   * throws, at the latest after the last entry. So nothing of it may be trusted before the generator has ended.
   */
  readonly entries: (onProgress: (tally: TrailerCounts) => void) => AsyncGenerator<Buffer, void>
}

/** Room for 10,000 bindings. */
const maxHeaderBytes = 4_194_304
const maxTrailerBytes = 1_024
const newline = 0x0a
/** End of the last entry (or of the header), and the line that marks the end of the entries. */
const end = Buffer.from(`\n${endOfEntries}`)
const truncated = 'the backup is truncated'

/** Reads the header. The entries are read on demand. Throws an Error that says what is wrong. */
export async function readBackup(source: AsyncIterable<Buffer>): Promise<OpenedBackup> {
  const input = new ChunkReader(source)
  let begun = Buffer.alloc(0)
  while (!begun.includes(newline) && begun.length <= maxHeaderBytes) {
    const chunk = await input.next()
    if (chunk === undefined) throw headerCutOff(begun.toString())
    begun = Buffer.concat([begun, chunk])
  }
  const line = begun.toString('utf8', 0, begun.indexOf(newline) + 1)
  const header = parseHeader(line)
  // The checksum is one of bytes, so the header must be written exactly as we write it, not just be equal JSON.
  if (headerLine(header) !== line)
    throw new Error('the backup was altered: its header is not as it was written')
  input.putBack(begun.subarray(Buffer.byteLength(line)))
  return { header, entries: (onProgress) => entriesOf(line, input, onProgress) }
}

async function* entriesOf(
  header: string,
  input: ChunkReader,
  onProgress: (tally: TrailerCounts) => void,
): AsyncGenerator<Buffer, void> {
  const trailer = new Trailer()
  trailer.frame(header)
  // Begins with the byte before the first one that has not been passed on: initially the line break of the header.
  // Bytes that may turn out to be the beginning of `end` wait for the next chunk.
  let held: Buffer = Buffer.of(newline)
  for (;;) {
    const endAt = held.indexOf(end)
    const upTo = endAt >= 0 ? endAt + 1 : held.length - (end.length - 1)
    if (upTo > 1) {
      const entries = held.subarray(1, upTo)
      trailer.entries(entries)
      onProgress(trailer.tally)
      yield entries
      held = held.subarray(upTo - 1)
    }
    if (endAt >= 0) break
    const chunk = await input.next()
    if (chunk === undefined) throw new Error(truncated)
    held = Buffer.concat([held, chunk])
  }
  trailer.frame(endOfEntries)
  const written = await lastLine(held.subarray(end.length), input)
  const expected = Buffer.from(trailer.line())
  if (written.equals(expected)) return
  if (!written.includes(newline)) throw new Error(truncated)
  throw new Error(
    written.subarray(0, expected.length).equals(expected)
      ? 'there is more data after the end of the backup'
      : 'the backup was altered: its checksum differs',
  )
}

/** Returns everything that follows, up to a bit more than a trailer can have. */
async function lastLine(first: Buffer, input: ChunkReader): Promise<Buffer> {
  let line = first
  while (line.length <= maxTrailerBytes) {
    const chunk = await input.next()
    if (chunk === undefined) break
    line = Buffer.concat([line, chunk])
  }
  return line
}
