import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'
import type { Source } from '../../telemetry/request-stats.js'

/** A response that Koa and the fast lane send in the same way. */
export interface PlainResponse {
  readonly status: number
  /** Names and values in turn, without Content-Length. */
  readonly headers: readonly string[]
  readonly body: string | Buffer
  /** Source of the response, for the statistics. */
  readonly source?: Source
}

/** Header that keeps browsers from guessing the type of a response. `createApp` sets it for Koa's responses. */
export const noSniff = ['X-Content-Type-Options', 'nosniff'] as const

export function sendByKoa(ctx: Context, { status, headers, body, source }: PlainResponse): void {
  ctx.status = status
  for (let index = 0; index < headers.length; index += 2) {
    ctx.set(headers[index] as string, headers[index + 1] as string)
  }
  ctx.body = body
  ctx.state.source = source
}

export function sendDirectly(response: ServerResponse, { status, headers, body }: PlainResponse): void {
  const bytes = Buffer.byteLength(body)
  response.writeHead(status, [...noSniff, ...headers, 'Content-Length', String(bytes)])
  // As many bytes as UTF-16 units means ASCII, which Node writes without looking at every character.
  if (typeof body === 'string') response.end(body, bytes === body.length ? 'latin1' : 'utf8')
  else response.end(body)
}
