import type { ServerResponse } from 'node:http'
import { RequestError } from '../routes/problem.js'
import { limitFor } from './large-share.js'
import { noRoom, type UnreadResponses } from './unread-responses.js'

/**
 * Room for one response whose parts become known one after another. It is taken as soon as a part is in memory, and
 * released at the end of the response.
 */
export class ResponseRoom {
  readonly #responses: UnreadResponses
  #bytes = 0

  constructor(responses: UnreadResponses) {
    this.#responses = responses
  }

  /** Takes room for another part. Throws 413 if the response can never fit, 503 if it does not fit now. */
  take(bytes: number): void {
    const length = this.#bytes + bytes
    const maxBytes = limitFor(length, this.#responses.maxBytes)
    if (length > maxBytes) {
      const detail = `keys: their values are larger than ${Math.floor(maxBytes)} bytes together; ask for fewer keys`
      throw new RequestError(413, detail, 'response-too-large')
    }
    if (!this.#responses.acquire(bytes, length)) throw new RequestError(noRoom.status, noRoom.detail)
    this.#bytes = length
  }

  release(): void {
    this.#responses.release(this.#bytes)
    this.#bytes = 0
  }

  /** Releases the room when the response has been sent or cut off. */
  releaseAfter(response: ServerResponse): void {
    if (response.destroyed) this.release()
    else response.once('close', () => this.release())
  }
}
