import type { Context } from 'koa'
import { type RequestBodies, roomless } from '../server/request-bodies.js'
import { RequestError } from './problem.js'
import { comesFromWebPage } from './web-page.js'

export interface BodyOptions {
  readonly maxBytes: number
  readonly bodies: RequestBodies
}

/**
 * Calls `use` with the request's body, which says that it is JSON. The body counts in `bodies` until what `use` returns has
 * settled. Throws 413, 415, 422 or 503.
 */
export async function withJsonBody<T>(
  ctx: Context,
  { maxBytes, bodies }: BodyOptions,
  use: (bytes: Buffer) => Promise<T>,
): Promise<T> {
  // Without a Content-Type the original service read JSON as well. With one, a page would have to ask first.
  const isUntyped = ctx.get('Content-Type') === ''
  if (isUntyped ? comesFromWebPage(ctx) : ctx.is('json', '+json') === false) {
    throw new RequestError(415, 'Content-Type must be application/json')
  }
  // What it decompresses to has no bound, and an app beside us gains nothing by compressing.
  if (!/^(identity)?$/i.test(ctx.get('Content-Encoding')))
    throw new RequestError(415, 'Content-Encoding: must be identity')
  const length = Number(ctx.get('Content-Length'))
  if (length > maxBytes) throw tooLarge(maxBytes)
  if (!bodies.hasRoomFor(length)) throw new RequestError(503, roomless)
  const received = { bytes: 0 }
  try {
    return await use(await receive(ctx, received, { maxBytes, bodies }))
  } finally {
    bodies.release(received.bytes)
  }
}

/** `received` is what has been counted so far. What comes after an error is dropped. */
function receive(
  ctx: Context,
  received: { bytes: number },
  { maxBytes, bodies }: BodyOptions,
): Promise<Buffer> {
  const { req } = ctx
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const end = (error?: RequestError) => {
      req.off('data', take).off('end', end).off('close', cut)
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
    req
      .on('data', take)
      .on('close', cut)
      .on('error', () => undefined)
    req.once('end', () => end())
    if (req.destroyed) cut()
  })
}

function tooLarge(maxBytes: number): RequestError {
  return new RequestError(413, `body: larger than ${maxBytes} bytes`)
}
