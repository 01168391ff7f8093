import type { Context } from 'koa'
import getRawBody from 'raw-body'
import { RequestError } from './problem.js'
import { comesFromWebPage } from './web-page.js'

/** Returns the request's body, which says that it is JSON. Throws 413, 415 or 422. */
export async function jsonBytes(ctx: Context, maxBytes: number): Promise<Buffer> {
  // Without a Content-Type the original service read JSON as well. With one, a page would have to ask first.
  const isUntyped = ctx.get('Content-Type') === ''
  if (isUntyped ? comesFromWebPage(ctx) : ctx.is('json', '+json') === false) {
    throw new RequestError(415, 'Content-Type must be application/json')
  }
  // What it decompresses to has no bound, and an app beside us gains nothing by compressing.
  if (!/^(identity)?$/i.test(ctx.get('Content-Encoding')))
    throw new RequestError(415, 'Content-Encoding: must be identity')
  return getRawBody(ctx.req, {
    limit: maxBytes,
    length: ctx.get('Content-Length') || null,
  }).catch((error: { type?: string }) => {
    if (error.type === 'entity.too.large') throw new RequestError(413, `body: larger than ${maxBytes} bytes`)
    throw new RequestError(422, 'body: not received completely')
  })
}
