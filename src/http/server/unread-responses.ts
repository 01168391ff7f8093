import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Middleware } from 'koa'
import { problemResponse, sendProblem } from '../routes/problem.js'
import { limitFor } from './large-share.js'

export const noRoom = {
  status: 503 as const,
  detail: 'No memory is left for the response: other clients do not read theirs',
  retryAfterSeconds: 1,
}

export const noRoomForResponse = problemResponse(noRoom)

/**
 * Counts the memory of responses that have been written, and that their clients have not read yet. Bytes that the
 * kernel has taken are not counted, nor is less than a socket's high-water mark. So a response that is sent at once
 * costs only a comparison.
 */
export class UnreadResponses {
  readonly maxBytes: number
  readonly #bytesOf = new WeakMap<Socket, number>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Returns false if a response of this size, or a further part of one of this length, must not be built. */
  hasRoomFor(bytes: number, length = bytes): boolean {
    return this.#bytes + bytes <= limitFor(length, this.maxBytes)
  }

  /**
   * Reserves room for a response, or for a further part of one of this length. Returns false if there is none. To be
   * released by the caller.
   */
  acquire(bytes: number, length = bytes): boolean {
    if (!this.hasRoomFor(bytes, length)) return false
    this.#bytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#bytes -= bytes
  }

  /** Counts the bytes that have been written to the socket and not sent yet. To be called after each response. */
  written(socket: Socket): void {
    const bytes = socket.writableLength
    // Below the high-water mark, no 'drain' event follows.
    if (bytes < socket.writableHighWaterMark || socket.destroyed) return
    const before = this.#bytesOf.get(socket)
    this.#bytesOf.set(socket, bytes)
    this.#bytes += bytes - (before ?? 0)
    if (before !== undefined) return
    const gone = () => {
      socket.off('drain', gone)
      socket.off('close', gone)
      this.#bytes -= this.#bytesOf.get(socket) ?? 0
      this.#bytesOf.delete(socket)
    }
    socket.on('drain', gone)
    socket.on('close', gone)
  }

  /** Returns middleware that checks the room for Koa's responses, and counts them. */
  middleware(): Middleware {
    return async (ctx, next) => {
      await next()
      if (typeof ctx.body !== 'string' && !Buffer.isBuffer(ctx.body)) return
      // Reserved until Koa sends it: otherwise, other responses could take the same room meanwhile.
      if (this.acquire(ctx.body.length)) this.#releaseWhenSent(ctx.res, ctx.body.length)
      else sendProblem(ctx, noRoom)
      ctx.res.once('prefinish', () => this.written(ctx.req.socket))
    }
  }

  #releaseWhenSent(response: ServerResponse, bytes: number): void {
    const release = () => {
      response.off('prefinish', release)
      response.off('close', release)
      this.release(bytes)
    }
    response.on('prefinish', release)
    response.on('close', release)
  }
}
