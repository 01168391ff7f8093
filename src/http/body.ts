import type { Context } from 'koa'
import getRawBody from 'raw-body'
import { RequestError } from './problem.js'
import { comesFromWebPage } from './web-page.js'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The request's body, which must be a JSON object. Throws 413, 415 or 422. */
export async function jsonObject(ctx: Context, maxBytes: number): Promise<Readonly<Record<string, unknown>>> {
  // Without a Content-Type the original service read JSON as well. With one, a page would have to ask first.
  const isUntyped = ctx.get('Content-Type') === ''
  if (isUntyped ? comesFromWebPage(ctx) : ctx.is('json', '+json') === false) {
    throw new RequestError(415, 'Content-Type must be application/json')
  }
  // What it decompresses to has no bound, and an app beside us gains nothing by compressing.
  if (!/^(identity)?$/i.test(ctx.get('Content-Encoding')))
    throw new RequestError(415, 'Content-Encoding: must be identity')
  const bytes = await getRawBody(ctx.req, {
    limit: maxBytes,
    length: ctx.get('Content-Length') || null,
  }).catch((error: { type?: string }) => {
    if (error.type === 'entity.too.large') throw new RequestError(413, `body: larger than ${maxBytes} bytes`)
    throw new RequestError(422, 'body: not received completely')
  })
  return parseObject(bytes)
}

/** Throws 422 for what is no JSON object. */
export function parseObject(bytes: Buffer): Readonly<Record<string, unknown>> {
  const body = parse(bytes)
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new RequestError(422, 'body: must be a JSON object')
  }
  return body as Record<string, unknown>
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    throw new RequestError(422, 'body: not valid JSON in UTF-8')
  }
}
