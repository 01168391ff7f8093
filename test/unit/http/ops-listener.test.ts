import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { CacheStatus } from '../../../src/core/status.js'
import { type OpsListenerOptions, opsListener } from '../../../src/http/ops/ops-listener.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { JsonClient } from '../../support/json-client.js'

const status = { feed: 'live', leaseAgeMs: 12.6, pendingWrites: 3 } as CacheStatus

async function listening(t: Test, options: Partial<OpsListenerOptions> = {}) {
  const errors: object[] = []
  const listener = opsListener({
    status: () => status,
    readiness: () => ({ status: 'degraded', reasons: [{ cause: 'pending-writes', text: 'a reason' }] }),
    isStarted: () => true,
    metrics: async () => ({ contentType: 'text/plain', text: async () => 'the metrics' }),
    clock: new DrivenClock(),
    log: { debug: () => undefined, error: (fields) => errors.push(fields) },
    ...options,
  })
  const server = createServer(listener).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = new JsonClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return { ask: (path: string, method = 'GET') => client.request(method, path), errors }
}

t.test('each path has its response, which nobody may keep', async (t) => {
  const { ask } = await listening(t)
  const jsonHeaders = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }
  for (const [path, body] of [
    ['/livez', { status: 'alive' }],
    ['/startupz', { status: 'started' }],
    ['/readyz', { status: 'degraded' }],
    [
      '/readyz?verbose',
      { status: 'degraded', reasons: ['a reason'], feed: 'live', lease_age_ms: 13, pending_writes: 3 },
    ],
  ] as const) {
    const answer = await ask(path)
    t.match(answer, { status: 200, headers: jsonHeaders }, path)
    t.strictSame(answer.body, body, path)
    t.match(await ask(path, 'HEAD'), { status: 200, headers: jsonHeaders, text: '' }, `HEAD ${path}`)
  }
  const headers = { 'content-type': 'text/plain', 'cache-control': 'no-store' }
  t.match(await ask('/metrics'), { status: 200, headers, text: 'the metrics' })
})

t.test('a sidecar that is not ready answers 503', async (t) => {
  const { ask } = await listening(t, {
    isStarted: () => false,
    readiness: () => ({ status: 'unready', reasons: [] }),
    status: () => ({ ...status, leaseAgeMs: Number.POSITIVE_INFINITY }),
  })
  t.match(await ask('/startupz'), { status: 503, body: { status: 'starting' } })
  t.match(await ask('/readyz'), { status: 503, body: { status: 'unready' } })
  t.equal((await ask('/readyz?verbose')).body.lease_age_ms, null)
  t.equal((await ask('/livez')).status, 200)
})

t.test('another path or method is refused', async (t) => {
  const { ask } = await listening(t)
  const typeOf = (kind: string) => new RegExp(`#${kind}$`)
  t.match(await ask('/cache/get'), { status: 404, body: { detail: 'Not Found', type: typeOf('no-route') } })
  t.match(await ask('/livez', 'POST'), {
    status: 405,
    headers: { allow: 'GET, HEAD' },
    body: { detail: 'Method Not Allowed', type: typeOf('wrong-method') },
  })
})

t.test('a view gets the whole query string, and the page has its own methods', async (t) => {
  const views = {
    has: (name: string) => name === 'keys',
    get: async (name: string, query: string) => ({ name, query }),
  }
  const { ask } = await listening(t, {
    page: { views, writes: { has: (name: string) => name === 'set' } } as never,
  })
  t.match(await ask('/ui/keys?prefix=a?b&after=c?'), {
    status: 200,
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
    body: { name: 'keys', query: 'prefix=a?b&after=c?' },
  })
  t.match(await ask('/ui/keys'), { body: { query: '' } })
  t.match(await ask('/ui/keys', 'POST'), { status: 405, headers: { allow: 'GET, HEAD' } })
  t.match(await ask('/ui/set'), { status: 405, headers: { allow: 'POST' } })
  for (const path of ['/', '/ui', '/ui?a'])
    t.match(
      await ask(path),
      {
        status: 307,
        headers: {
          location: 'ui/',
          'cache-control': 'no-store',
          'content-type': 'text/plain; charset=utf-8',
        },
        text: 'The page is at ui/\n',
      },
      path,
    )
  t.match(await ask('/abckeys'), { status: 404 })
})

t.test('a page beyond the number that may be open is asked to come again', async (t) => {
  const { ask } = await listening(t, {
    page: { live: { isFull: true }, views: { has: () => false } } as never,
  })
  t.match(await ask('/ui/stream'), {
    status: 503,
    headers: { 'retry-after': '5' },
    body: { detail: 'Too many pages are open at this sidecar' },
  })
  t.equal((await ask('/ui/stream', 'HEAD')).status, 404, 'there is no stream without its events')
})

t.test('a failure is answered and logged', async (t) => {
  const failure = new Error('a mistake of ours')
  const { ask, errors } = await listening(t, { metrics: () => Promise.reject(failure) })
  t.match(await ask('/metrics'), { status: 500, body: { detail: 'Internal Server Error' } })
  t.strictSame(errors, [{ err: failure, path: '/metrics' }])
})
