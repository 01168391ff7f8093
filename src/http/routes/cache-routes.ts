import Router from '@koa/router'
import type { Context } from 'koa'
import type { Cache } from '../../core/cache.js'
import type { RequestBodies } from '../server/request-bodies.js'
import { withJsonBody } from './body.js'
import { checkKey } from './key.js'
import { sendProblem } from './problem.js'
import { parseQuery } from './query.js'
import { readRequest } from './read-request.js'
import { readResponse } from './read-response.js'
import { sendByKoa } from './response.js'
import { setRequest } from './set-request.js'
import { setResponse } from './set-response.js'

export interface CacheRoutesOptions {
  readonly cache: Cache
  /** Largest body of a set. */
  readonly maxValueBytes: number
  readonly bodies: RequestBodies
}

/** Read, write and delete one entry. */
export function cacheRoutes({ cache, maxValueBytes, bodies }: CacheRoutesOptions): Router {
  const router = new Router({ prefix: '/cache', strict: true })

  router.get('/get', async (ctx) => {
    const { key, wish, onlyIfCached } = readRequest(ctx)
    const read = onlyIfCached ? cache.recall(key, wish) : await cache.get(key, wish)
    if (read === undefined)
      return sendProblem(ctx, { status: 504, detail: 'Not in memory, and only-if-cached' })
    sendByKoa(ctx, readResponse(key, read))
  })

  router.post('/set', async (ctx) => {
    const result = await withJsonBody(ctx, { maxBytes: maxValueBytes, bodies }, (bytes) => {
      const { key, value } = setRequest(bytes)
      return cache.set(key, value)
    })
    sendByKoa(ctx, setResponse(result))
  })

  router.delete('/delete', async (ctx) => {
    const { key } = parseQuery(ctx.querystring, ['key'])
    const { held, stored, token } = await cache.delete(checkKey(key))
    ctx.state.source = token === undefined ? 'kept' : 'db'
    ctx.body = {
      cache_removed: held,
      db_removed: stored,
      ...(token ? giveToken(ctx, token) : { pending: true }),
    }
  })

  return router
}

function giveToken(ctx: Context, token: string): { token: string } {
  ctx.set('Cache-Token', token)
  return { token }
}
