import Router from '@koa/router'
import type { Cache } from '../core/cache.js'
import type { Value } from '../core/entry.js'
import { jsonObject } from './body.js'
import { checkKey, keyFromQuery } from './key.js'
import { sendProblem } from './problem.js'
import { checkValue } from './value.js'

export interface CacheRoutesOptions {
  readonly cache: Cache
  /** Largest body of a set. */
  readonly maxValueBytes: number
}

/** Read, write and delete one entry. */
export function cacheRoutes({ cache, maxValueBytes }: CacheRoutesOptions): Router {
  const router = new Router({ prefix: '/cache', strict: true })

  router.get('/get', async (ctx) => {
    const key = keyFromQuery(ctx.querystring)
    const { value, source, stale } = await cache.get(key)
    if (value === undefined) return sendProblem(ctx, { status: 404, detail: 'Key not found' })
    ctx.type = 'json'
    ctx.body = readBody(key, value, source, stale)
  })

  router.post('/set', async (ctx) => {
    const body = await jsonObject(ctx, maxValueBytes)
    const { written } = await cache.set(checkKey(body.key), checkValue(body.value))
    ctx.body = { ok: true, db_written: written }
  })

  router.delete('/delete', async (ctx) => {
    const { held, stored } = await cache.delete(keyFromQuery(ctx.querystring))
    ctx.body = { cache_removed: held, db_removed: stored }
  })

  return router
}

/** The value is JSON text already. `stale` is there only when it is true. */
function readBody(key: string, value: Value, source: 'cache' | 'db', stale: boolean): string {
  return `{"key":${JSON.stringify(key)},"value":${value},"source":"${source}"${stale ? ',"stale":true' : ''}}`
}
