import type { Context } from 'koa'
import { RequestError } from '../problem.js'
import { checked } from '../schemas/checked.js'
import { ttlSeconds } from '../schemas/fields.js'
import { ttlMs } from '../ttl-seconds.js'

const form = /^max-age[ \t]*(?:=[ \t]*"?(\d{1,10})"?)?$/i

/** Returns the time to live in the Cache-Control of a PUT, in ms; undefined if it has no max-age. Throws 422. */
export function maxAge(ctx: Context): number | undefined {
  const given = ctx
    .get('Cache-Control')
    .split(',')
    .map((directive) => directive.trim())
    .filter((directive) => /^max-age\b/i.test(directive))
  const [first] = given
  if (first === undefined) return undefined
  const [, seconds] = form.exec(first) ?? []
  const name = 'Cache-Control: max-age'
  const ttl = seconds === undefined ? undefined : checked(ttlSeconds, Number(seconds), name)
  if (ttl === undefined || given.length > 1)
    throw new RequestError(422, `${name}: must be given once, as a number of seconds`)
  return ttlMs(ttl)
}

/**
 * Returns the Cache-Control of a response. Its max-age counts from the moment of which `Age` tells, so that a client
 * that subtracts the one from the other gets the remaining time to live, and never more.
 */
export function freshness(ageMs: number, expiresInMs: number): string {
  return `max-age=${Math.floor(ageMs / 1_000) + Math.max(0, Math.floor(expiresInMs / 1_000))}`
}
