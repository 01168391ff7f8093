import { createHash } from 'node:crypto'

const newline = 0x0a

/** How much went through it. */
export interface TrailerCounts {
  readonly entries: number
  readonly bytes: number
}

/** Counts and digests a backup as it is written or read, up to its last line, which it makes. */
export class Trailer {
  readonly #hash = createHash('sha256')
  #entries = 0
  #bytes = 0

  get tally(): TrailerCounts {
    return { entries: this.#entries, bytes: this.#bytes }
  }

  /** Of the lines that are no entries. */
  frame(text: string): void {
    this.#hash.update(text)
    this.#bytes += Buffer.byteLength(text)
  }

  /** COPY writes one line for each entry: a line break within a value is escaped. */
  entries(chunk: Buffer): void {
    this.#hash.update(chunk)
    this.#bytes += chunk.length
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, at + 1)) this.#entries++
  }

  /** Ends it. A backup is whole when its last line is this one, byte for byte. */
  line(): string {
    return `${JSON.stringify({ ...this.tally, sha256: this.#hash.digest('hex') })}\n`
  }
}
