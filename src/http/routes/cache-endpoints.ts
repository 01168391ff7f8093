import type { Context } from 'koa'
import type { Cache } from '../../core/cache.js'
import type { DeleteResponse } from '../../http-api.js'
import type { RequestBodies } from '../server/request-bodies.js'
import { withJsonBody } from './body.js'
import type { Endpoint } from './endpoint.js'
import { refuseConditions } from './header-checks.js'
import { deleteOperation, deleteQuery, getOperation, setOperation } from './operations/cache-operations.js'
import { sendProblem } from './problem.js'
import { checkedQuery } from './query.js'
import { readRequest } from './read-request.js'
import { readResponse } from './read-response.js'
import { sendByKoa } from './response.js'
import { setRequest } from './set-request.js'
import { setResponse } from './set-response.js'

export interface CacheEndpointsOptions {
  readonly cache: Cache
  /** Largest body of a set. */
  readonly maxValueBytes: number
  readonly bodies: RequestBodies
}

/** Returns the endpoints that read, write and delete one entry. */
export function cacheEndpoints(options: CacheEndpointsOptions): readonly Endpoint[] {
  const { cache } = options
  return [
    {
      method: 'get',
      path: '/cache/get',
      listedQuery: '?key=',
      operation: getOperation,
      handle: (ctx) => get(ctx, cache),
    },
    {
      method: 'post',
      path: '/cache/set',
      listedQuery: '',
      operation: setOperation,
      handle: (ctx) => set(ctx, options),
    },
    {
      method: 'delete',
      path: '/cache/delete',
      listedQuery: '?key=',
      operation: deleteOperation,
      handle: (ctx) => remove(ctx, cache),
    },
  ]
}

async function get(ctx: Context, cache: Cache): Promise<void> {
  const { key, options, onlyIfCached } = readRequest(ctx)
  const read = onlyIfCached ? cache.recall(key, options) : await cache.get(key, options)
  if (read === undefined) sendProblem(ctx, { status: 504, detail: 'Not in memory, and only-if-cached' })
  else sendByKoa(ctx, readResponse(key, read))
}

async function set(ctx: Context, { cache, maxValueBytes, bodies }: CacheEndpointsOptions): Promise<void> {
  refuseConditions(ctx)
  const result = await withJsonBody(ctx, { maxBytes: maxValueBytes, bodies }, (bytes) => {
    const { key, value, options } = setRequest(bytes)
    return cache.set(key, value, options)
  })
  sendByKoa(ctx, setResponse(result))
}

async function remove(ctx: Context, cache: Cache): Promise<void> {
  const { key } = checkedQuery(ctx.querystring, deleteQuery)
  refuseConditions(ctx)
  const { held, stored, token } = await cache.delete(key)
  ctx.state.source = token === undefined ? 'kept' : 'db'
  ctx.body = {
    cache_removed: held,
    db_removed: stored,
    ...(token ? giveToken(ctx, token) : { pending: true as const }),
  } satisfies DeleteResponse
}

function giveToken(ctx: Context, token: string): { token: string } {
  ctx.set('Cache-Token', token)
  return { token }
}
