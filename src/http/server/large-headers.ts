import type { IncomingMessage, ServerResponse } from 'node:http'
import { problemResponse } from '../routes/problem.js'
import { requestBytes } from './request-bytes.js'

/** Requests of up to this size are not counted: 10,000 of them take less than 40 MiB. */
const uncountedBytes = 4 * 1024

export const noRoomForHeaders = problemResponse({
  status: 503,
  detail: 'No memory is left for the headers: other requests with large ones are in progress',
  retryAfterSeconds: 1,
})

/**
 * Bounds the memory of the headers of requests in progress. Thousands of connections can each have a request with 16
 * KiB of headers wait for the database. Ordinary requests cost only an addition per header.
 */
export class LargeHeaders {
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Counts a request until its response ends. Returns false if there is no room for it. */
  admits(request: IncomingMessage, response: ServerResponse): boolean {
    const bytes = requestBytes(request)
    if (bytes <= uncountedBytes) return true
    if (this.#bytes + bytes > this.#maxBytes) return false
    this.#bytes += bytes
    response.once('close', () => {
      this.#bytes -= bytes
    })
    return true
  }
}
