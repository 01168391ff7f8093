import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Log } from '../../core/ports.js'

export interface BearerTokenOptions {
  /** Reads the token from its source. */
  readonly read: () => Promise<string>
  /** Interval at which the token is read again; undefined to read it only once. */
  readonly rereadMs: number | undefined
  readonly log: Log
}

/** Token that callers must send. Only its digest is kept in memory. */
export class BearerToken {
  readonly #options: BearerTokenOptions
  /** Digest of the token. Initially random, so that nothing matches before the token is read. */
  #digest = randomBytes(32)
  #rereading: NodeJS.Timeout | undefined
  #isReadable = true

  constructor(options: BearerTokenOptions) {
    this.#options = options
  }

  /** Reads the token. Rejects if it cannot be read. */
  async start(): Promise<void> {
    const { read, rereadMs } = this.#options
    this.#digest = digestOf(await read())
    if (rereadMs !== undefined) this.#rereading = setInterval(() => this.#reread(), rereadMs).unref()
  }

  close(): void {
    clearInterval(this.#rereading)
  }

  /**
   * Returns true if the Authorization header carries the token. Takes the same time wherever the tokens differ: digests
   * have equal lengths, and a common prefix of two digests says nothing about the tokens.
   */
  isIn(authorization: string | undefined): boolean {
    const given = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    return given !== undefined && timingSafeEqual(digestOf(given), this.#digest)
  }

  /**
   * Reads the token again. If that fails, keeps the last one: a file that is being replaced must not lock everybody
   * out.
   */
  async #reread(): Promise<void> {
    const { read, log } = this.#options
    try {
      this.#digest = digestOf(await read())
      this.#isReadable = true
    } catch (error) {
      if (this.#isReadable)
        log.warn({ reason: String(error) }, 'the API token cannot be read again: keeping the last one')
      this.#isReadable = false
    }
  }
}

function digestOf(token: string): Buffer<ArrayBuffer> {
  return createHash('sha256').update(token).digest() as Buffer<ArrayBuffer>
}
