/** Reads chunks from a source, one at a time. Bytes that were not needed can be put back. */
export class ChunkReader {
  readonly #chunks: AsyncIterator<Buffer>
  #back: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]()
  }

  /** Returns the next chunk; undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    if (this.#back.length > 0) {
      const chunk = this.#back
      this.#back = Buffer.alloc(0)
      return chunk
    }
    const { done, value } = await this.#chunks.next()
    return done ? undefined : value
  }

  putBack(chunk: Buffer): void {
    this.#back = Buffer.concat([chunk, this.#back])
  }

  /** Returns the next bytes without consuming them: at least `bytes`, or fewer at the end. */
  async peek(bytes: number): Promise<Buffer> {
    while (this.#back.length < bytes) {
      const { done, value } = await this.#chunks.next()
      if (done) break
      this.#back = Buffer.concat([this.#back, value])
    }
    return this.#back
  }
}
