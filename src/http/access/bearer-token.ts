import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Log } from '../../core/ports.js'

export interface BearerTokenOptions {
  /** Where the token comes from. */
  readonly read: () => Promise<string>
  /** How often it is read again; undefined: it stays what it is. */
  readonly rereadMs: number | undefined
  readonly log: Log
}

/** The token that callers must know. Only its digest is kept. */
export class BearerToken {
  readonly #options: BearerTokenOptions
  /** At first of what nobody knows. */
  #digest = randomBytes(32)
  #rereading: NodeJS.Timeout | undefined
  #isReadable = true

  constructor(options: BearerTokenOptions) {
    this.#options = options
  }

  /** Rejects when the token cannot be read. */
  async start(): Promise<void> {
    const { read, rereadMs } = this.#options
    this.#digest = digestOf(await read())
    if (rereadMs !== undefined) this.#rereading = setInterval(() => this.#reread(), rereadMs).unref()
  }

  close(): void {
    clearInterval(this.#rereading)
  }

  /**
   * Whether an Authorization header carries it. It takes equally long wherever the two differ: digests are of one
   * length, and how far two of them agree says nothing about what they were made of.
   */
  isIn(authorization: string | undefined): boolean {
    const given = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    return given !== undefined && timingSafeEqual(digestOf(given), this.#digest)
  }

  /** While it cannot be read, the last one holds: a file that is being replaced must not lock everybody out. */
  async #reread(): Promise<void> {
    const { read, log } = this.#options
    try {
      this.#digest = digestOf(await read())
      this.#isReadable = true
    } catch (error) {
      if (this.#isReadable)
        log.warn({ reason: String(error) }, 'the API token cannot be read again: the last one holds')
      this.#isReadable = false
    }
  }
}

function digestOf(token: string): Buffer<ArrayBuffer> {
  return createHash('sha256').update(token).digest() as Buffer<ArrayBuffer>
}
