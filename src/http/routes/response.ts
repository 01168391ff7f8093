import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'
import type { Source } from '../../telemetry/request-stats.js'

/** What a client is sent, the same whether Koa sends it or the fast lane. */
export interface PlainResponse {
  readonly status: number
  /** Names and values in turn, without Content-Length. */
  readonly headers: readonly string[]
  readonly body: string
  /** For the statistics. */
  readonly source?: Source
}

/** A browser takes a response for what it says that it is. Koa's routes get it in `createApp`. */
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
  // As many bytes as UTF-16 units: all of it is ASCII, which Node writes without looking at every character.
  response.end(body, bytes === body.length ? 'latin1' : 'utf8')
}
