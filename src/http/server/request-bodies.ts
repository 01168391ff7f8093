import { problemResponse } from '../routes/problem.js'
import { limitFor, shareOfLarge } from './large-share.js'

/** Number of bytes counted for each byte of a body: the received bytes, and the text that is made of them. */
const copiesOfBody = 2

/** Returns the smallest `maxBytes` with which `RequestBodies` can receive a body of this length. */
export function bytesForOneBody(length: number): number {
  return Math.ceil((copiesOfBody * length) / shareOfLarge)
}

export const roomless =
  'No memory is left for the body: other bodies are being received, or are waiting for the database'

export const noRoomForBody = problemResponse({ status: 503, detail: roomless, retryAfterSeconds: 1 })

/**
 * Counts the memory of admitted request bodies, from their first byte to the response. Nothing is allocated for a body
 * that finds no room, or whose client is not authorized.
 */
export class RequestBodies {
  readonly maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Number of bytes that are counted now. */
  get bytes(): number {
    return this.#bytes
  }

  /** Length of the largest body that finds room. */
  get largestBytes(): number {
    return Math.floor((this.maxBytes * shareOfLarge) / copiesOfBody)
  }

  /** Returns false if a body of this length must not be received. */
  hasRoomFor(length: number): boolean {
    return this.#bytes + copiesOfBody * length <= limitFor(length, this.maxBytes)
  }

  /** Counts a body, or a part of one. Returns false if there is no room for it. */
  acquire(length: number): boolean {
    if (!this.hasRoomFor(length)) return false
    this.#bytes += copiesOfBody * length
    return true
  }

  release(length: number): void {
    this.#bytes -= copiesOfBody * length
  }
}
