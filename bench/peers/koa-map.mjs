import Router from '@koa/router'
import Koa from 'koa'

/** A first attempt of an application: Koa, a router and a Map. */
const { VALUE = '', PORT } = process.env
const values = new Map([['foo', VALUE]])
const router = new Router()
router.get('/cache/get', (ctx) => {
  const { key } = ctx.query
  const value = values.get(key)
  if (value === undefined) ctx.throw(404)
  ctx.body = { key, value, source: 'cache' }
})
new Koa().use(router.routes()).listen(Number(PORT), '127.0.0.1')
// Not at once, so that a profiler can write what it saw.
process.once('SIGTERM', () => process.exit())
