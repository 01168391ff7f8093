import t from 'tap'
import { modelHttp } from '../../support/model-http.js'

const put = { op: 'put', key: 'k', value: 1 }

t.test('an atomic batch counts as a request to the database', async (t) => {
  const { client, counted } = await modelHttp(t)
  const body = { items: [put], atomic: true }
  t.equal((await client.request('POST', '/v1/entries:batch', { body })).status, 200)
  t.strictSame(counted(), ['/v1/entries:batch ok db'])
})

t.test('a batch that the database refuses for its condition counts as a request to it', async (t) => {
  const { client, counted } = await modelHttp(t)
  const body = { items: [{ ...put, if_match: '*' }], atomic: true }
  t.equal((await client.request('POST', '/v1/entries:batch', { body })).status, 412)
  t.equal(
    (await client.request('PUT', '/v1/entries/k', { body: 1, headers: { 'If-Match': '*' } })).status,
    412,
  )
  t.match(counted(), [/^\/v1\/entries:batch \S+ db$/, /^\/v1\/entries\/{key} \S+ db$/])
})

t.test('a batch without items asks nobody', async (t) => {
  const { client, counted } = await modelHttp(t)
  const { status, body } = await client.request('POST', '/v1/entries:batch', {
    body: { items: [], atomic: true },
  })
  t.strictSame([status, body], [200, { results: [] }])
  t.strictSame(counted(), ['/v1/entries:batch ok none'])
})

const writes: Readonly<Record<string, readonly [method: string, path: string, body?: object]>> = {
  '/v1/entries:batch': ['POST', '/v1/entries:batch', { items: [put] }],
  '/cache/set': ['POST', '/cache/set', { key: 'k', value: 1 }],
  '/cache/delete': ['DELETE', '/cache/delete?key=k'],
  '/v1/entries/{key}': ['PUT', '/v1/entries/k', {}],
  '/v1/invalidate': ['POST', '/v1/invalidate', { keys: ['k'] }],
}

for (const [route, [method, path, body]] of Object.entries(writes)) {
  t.test(`${method} ${path} counts as a request to the database`, async (t) => {
    const { client, counted } = await modelHttp(t)
    await client.request(method, path, { body })
    t.match(counted(), [new RegExp(`^${route.replace(/[{}]/g, '\\$&')} (ok|not_found) db$`)])
  })
}

t.test('a write that is kept in memory is counted as such', async (t) => {
  const { client, store, counted } = await modelHttp(t)
  store.stop()
  t.match(await client.delete('k'), { status: 200, body: { db_removed: false, pending: true } })
  t.match(await client.set('k', 1), { status: 200, body: { db_written: false } })
  t.match(await client.request('PUT', '/v1/entries/l', { body: 1 }), { status: 202, body: { pending: true } })
  t.match(await client.request('DELETE', '/v1/entries/l'), { status: 202, body: { pending: true } })
  t.strictSame(counted(), ['/cache/delete ok kept', '/cache/set ok kept', '/v1/entries/{key} ok kept'])
})

t.test('a read is counted by where its answer comes from', async (t) => {
  const { client, store, feed, counted } = await modelHttp(t)
  store.setBySql('k', '1')
  feed.deliver()
  for (let count = 0; count < 2; count++) {
    await client.get('k')
    await client.request('GET', '/v1/entries/k')
    await client.request('POST', '/v1/entries:get', { body: { keys: ['k'] } })
  }
  t.strictSame(counted().sort(), [
    '/cache/get ok cache',
    '/cache/get ok db',
    '/v1/entries/{key} ok cache',
    '/v1/entries:get ok cache',
  ])
})
