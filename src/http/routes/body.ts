import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { type RequestBodies, roomless } from '../server/request-bodies.js'
import { requireOnce } from './header-checks.js'
import { RequestError } from './problem.js'
import { comesFromWebPage } from './web-page.js'

/** Enough for 1,000 keys of the largest size, also if some of their characters are escaped. */
export const largestBytesOfKeys = 2 * 1024 * 1024

export interface BodyOptions {
  readonly maxBytes: number
  readonly bodies: RequestBodies
}

/**
 * Calls `use` with the request's body, which says that it is JSON. The body counts in `bodies` until what `use` returns
 * has settled. Throws 400, 413, 415, 422 or 503.
 */
export async function withJsonBody<T>(
  ctx: Context,
  { maxBytes, bodies }: BodyOptions,
  use: (bytes: Buffer) => Promise<T>,
): Promise<T> {
  requireOnce(ctx, 'Content-Type')
  // The original service read JSON without a Content-Type as well. With one, a web page would need a preflight.
  const isUntyped = ctx.get('Content-Type') === ''
  if (isUntyped ? comesFromWebPage(ctx) : ctx.is('json', '+json') === false) {
    throw new RequestError(415, 'Content-Type must be application/json')
  }
  return withBody(ctx.req, { maxBytes, bodies }, use)
}

/** Does the same as `withJsonBody` for a body of any type. Throws 413, 415, 422 or 503. */
export async function withBody<T>(
  request: IncomingMessage,
  { maxBytes, bodies }: BodyOptions,
  use: (bytes: Buffer) => Promise<T>,
): Promise<T> {
  const { headers } = request
  // The size after decompression has no bound, and an application beside the sidecar gains nothing by compressing.
  if (!/^(identity)?$/i.test(headers['content-encoding'] ?? ''))
    throw new RequestError(415, 'Content-Encoding: must be identity')
  // Node takes off the last coding only. What it leaves would be stored as if it were the value.
  if (!/^(chunked)?$/i.test((headers['transfer-encoding'] ?? '').trim()))
    throw new RequestError(415, 'Transfer-Encoding: must be chunked')
  const length = Number(headers['content-length'] ?? '')
  if (length > maxBytes) throw tooLarge(maxBytes)
  if (!bodies.hasRoomFor(length)) throw new RequestError(503, roomless)
  const received = { bytes: 0 }
  try {
    return await use(await receive(request, received, { maxBytes, bodies }))
  } finally {
    bodies.release(received.bytes)
  }
}

/** Receives the rest of a body. `received` has been counted so far. After an error, the rest is dropped. */
function receive(
  request: IncomingMessage,
  received: { bytes: number },
  { maxBytes, bodies }: BodyOptions,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const end = (error?: RequestError) => {
      request.off('data', take).off('end', end).off('close', cut)
      if (error) reject(error)
      else resolve(Buffer.concat(chunks))
    }
    const take = (chunk: Buffer) => {
      if (received.bytes + chunk.length > maxBytes) return end(tooLarge(maxBytes))
      if (!bodies.acquire(chunk.length)) return end(new RequestError(503, roomless))
      received.bytes += chunk.length
      chunks.push(chunk)
    }
    const cut = () => end(new RequestError(422, 'body: not received completely'))
    request
      .on('data', take)
      .on('close', cut)
      .on('error', () => undefined)
    request.once('end', () => end())
    if (request.destroyed) cut()
  })
}

function tooLarge(maxBytes: number): RequestError {
  return new RequestError(413, `body: larger than ${maxBytes} bytes`)
}
