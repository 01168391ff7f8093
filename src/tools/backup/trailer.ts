import { createHash } from 'node:crypto'

const newline = 0x0a

/** Number of entries and bytes so far. */
export interface TrailerCounts {
  readonly entries: number
  readonly bytes: number
}

/** Counts and hashes a backup while it is written or read, and makes its last line from that. */
export class Trailer {
  readonly #hash = createHash('sha256')
  #entries = 0
  #bytes = 0

  get tally(): TrailerCounts {
    return { entries: this.#entries, bytes: this.#bytes }
  }

  /** Adds a line that is not an entry. */
  frame(text: string): void {
    this.#hash.update(text)
    this.#bytes += Buffer.byteLength(text)
  }

  /** Adds entries. COPY writes one line for each entry, because it escapes line breaks in values. */
  entries(chunk: Buffer): void {
    this.#hash.update(chunk)
    this.#bytes += chunk.length
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, at + 1)) this.#entries++
  }

  /** Returns the last line. A backup is complete and unaltered if its last line equals this one, byte for byte. */
  line(): string {
    return `${JSON.stringify({ ...this.tally, sha256: this.#hash.digest('hex') })}\n`
  }
}
