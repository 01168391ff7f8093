import type { Context } from 'koa'
import { isRepeated } from '../access/raw-headers.js'
import { RequestError } from './problem.js'

/** Throws 400 if a header has several lines that may have one. Node would use the first of them, or join them. */
export function requireOnce(ctx: Context, name: string): void {
  if (isRepeated(ctx.req.rawHeaders, name.toLowerCase()))
    throw new RequestError(400, `${name}: given more than once`)
}

/** Throws 422 for a header that would decide if a write may happen, where it would be ignored. */
export function refuseConditions(ctx: Context): void {
  for (const name of ['If-Match', 'If-None-Match'])
    if (ctx.headers[name.toLowerCase()] !== undefined)
      throw new RequestError(422, `${name}: only requests for /v1/entries/{key} take it`)
  refuseLease(ctx)
}

/** Throws 422 for a lease, where it would be ignored. */
export function refuseLease(ctx: Context): void {
  if (ctx.headers['fill-lease'] !== undefined)
    throw new RequestError(422, 'Fill-Lease: only PUT and DELETE of /v1/entries/{key} take it')
}
