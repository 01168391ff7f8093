import { ChunkReader } from './chunk-reader.js'
import { type Header, headerCutOff, headerLine, parseHeader } from './header.js'
import { Trailer, type TrailerCounts } from './trailer.js'
import { endOfEntries } from './write-backup.js'

export interface OpenedBackup {
  readonly header: Header
  /**
   * For COPY, once. Throws, at the latest after the last of them, when the backup is not whole or not what was
   * written: until it has ended, nothing of it may be trusted.
   */
  readonly entries: (onProgress: (tally: TrailerCounts) => void) => AsyncGenerator<Buffer, void>
}

const maxHeaderBytes = 65_536
const maxSealBytes = 1_024
const newline = 0x0a
/** The end of an entry (or of the header) and the line after it. */
const end = Buffer.from(`\n${endOfEntries}`)
const truncated = 'the backup is truncated'

/** Reads the header, and takes the rest as it is asked for. Throws an Error that says what is wrong. */
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
  // Whatever JSON allows besides, only what was written counts: the checksum is of bytes.
  if (headerLine(header) !== line) throw new Error('the backup was altered: its header')
  input.putBack(begun.subarray(Buffer.byteLength(line)))
  return { header, entries: (onProgress) => entriesOf(line, input, onProgress) }
}

async function* entriesOf(
  header: string,
  input: ChunkReader,
  onProgress: (tally: TrailerCounts) => void,
): AsyncGenerator<Buffer, void> {
  const seal = new Trailer()
  seal.frame(header)
  // It begins with the byte before the first that is not yet passed on: at first the header's line break. What may
  // turn out to be the beginning of the end waits for the next chunk.
  let held: Buffer = Buffer.of(newline)
  for (;;) {
    const endAt = held.indexOf(end)
    const upTo = endAt >= 0 ? endAt + 1 : held.length - (end.length - 1)
    if (upTo > 1) {
      const entries = held.subarray(1, upTo)
      seal.entries(entries)
      onProgress(seal.tally)
      yield entries
      held = held.subarray(upTo - 1)
    }
    if (endAt >= 0) break
    const chunk = await input.next()
    if (chunk === undefined) throw new Error(truncated)
    held = Buffer.concat([held, chunk])
  }
  seal.frame(endOfEntries)
  const written = await lastLine(held.subarray(end.length), input)
  const expected = Buffer.from(seal.line())
  if (written.equals(expected)) return
  if (!written.includes(newline)) throw new Error(truncated)
  throw new Error(
    written.subarray(0, expected.length).equals(expected)
      ? 'something follows after the end of the backup'
      : 'the backup was altered: its checksum is another',
  )
}

/** All that follows, up to more than a last line has. */
async function lastLine(first: Buffer, input: ChunkReader): Promise<Buffer> {
  let line = first
  while (line.length <= maxSealBytes) {
    const chunk = await input.next()
    if (chunk === undefined) break
    line = Buffer.concat([line, chunk])
  }
  return line
}
