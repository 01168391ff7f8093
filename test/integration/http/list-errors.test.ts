import t, { type Test } from 'tap'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { guestOf } from '../../support/guest.js'
import type { Answer } from '../../support/json-client.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const paths = ['/v1/entries', '/v1/entries:count']

function isProblem(
  t: Test,
  { status, headers, body }: Answer,
  wanted: number,
  detail: string | RegExp,
): void {
  t.equal(status, wanted)
  t.match(headers['content-type'], /^application\/problem\+json/)
  t.match(body, { status: wanted, detail })
  t.equal(headers['retry-after'] !== undefined, wanted === 503, 'Retry-After')
}

t.test('bad input is answered with the name of the parameter', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const limit = 'limit: must be an integer between 1 and 1000'
  const both = {
    'prefix=%00': 'prefix: must not contain U+0000',
    'prefix=%ff': 'prefix: not valid percent-encoded UTF-8',
    'prefix=a&prefix=b': 'prefix: given more than once',
    [`prefix=${'a'.repeat(1_025)}`]: 'prefix: longer than 1024 bytes of UTF-8',
    'prefx=a': 'prefx: unknown parameter; did you mean prefix?',
    'Prefix=a': 'Prefix: unknown parameter; did you mean prefix?',
  }
  const ofLists = {
    ...Object.fromEntries(
      ['0', '1001', '-1', '1.5', '', 'ten', '1e2', '0x1', '99999'].map((n) => [`limit=${n}`, limit]),
    ),
    'limit=1&limit=2': 'limit: given more than once',
    'limits=1': 'limits: unknown parameter; did you mean limit?',
    'after=%00': 'after: must not contain U+0000',
    'after=%c3': 'after: not valid percent-encoded UTF-8',
    'aftr=a': 'aftr: unknown parameter; did you mean after?',
    'values=yes': 'values: must be true or false',
    'values=': 'values: must be true or false',
    'value=true': 'value: unknown parameter; did you mean values?',
  }
  for (const path of paths)
    for (const [query, detail] of Object.entries(both))
      isProblem(t, await client.request('GET', `${path}?${query}`), 422, detail)
  for (const [query, detail] of Object.entries(ofLists))
    isProblem(t, await client.request('GET', `/v1/entries?${query}`), 422, detail)
  t.equal((await client.request('GET', '/v1/entries?trace=1&limit=1000')).status, 200, 'others are ignored')
})

t.test('wrong methods and paths', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  for (const path of paths) {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await client.request(method, `${path}?prefix=a`)
      isProblem(t, answer, 405, 'Method Not Allowed')
      t.equal(answer.headers.allow, 'HEAD, GET')
    }
    const head = await client.request('HEAD', path)
    t.match(head, { status: 200, text: '' })
  }
  for (const path of ['/v1/entries:', '/v1/entriescount', '/v1/entries:counts', '/v1/entriesX'])
    isProblem(t, await client.request('GET', path), 404, 'Not Found')
  isProblem(t, await client.request('GET', '/v1/entries/'), 422, /^key: must not be empty/)
  isProblem(t, await client.request('GET', '/v1/entries/:count'), 404, 'Key not found')
  const { body } = await client.request('GET', '/')
  t.match(body.endpoints, /GET \/v1\/entries\?prefix=&limit=&after=/)
  t.match(body.endpoints, /GET \/v1\/entries:count\?prefix=/)
})

t.test('a token is required where there is one', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startSidecar(t, { databaseUrl: url, apiToken: 'let-me-in-please' })
  await eventually(async () => (await client.request('GET', '/health')).body.feed === 'live')
  for (const path of paths) {
    isProblem(t, await client.request('GET', path), 401, /^Authorization: /)
    const headers = { Authorization: 'Bearer let-me-in-please' }
    t.equal((await client.request('GET', path, { headers })).status, 200)
  }
})

t.test('the database is unavailable', async (t) => {
  const database = await freshDatabase(t)
  const guest = await guestOf(t, database)
  const { client } = await startLiveSidecar(t, { databaseUrl: guest.url })
  await client.set('k', 'held')
  await client.held('k')
  await guest.shutOut()
  for (const path of paths) isProblem(t, await client.request('GET', path), 503, /^The database /)
  t.equal((await client.get('k')).status, 200, 'what is held is still read')
  await guest.letIn()
  for (const path of paths) await eventually(async () => (await client.request('GET', path)).status === 200)
})

t.test('the role may not read', async (t) => {
  const database = await freshDatabase(t)
  const guest = await guestOf(t, database)
  const { client } = await startLiveSidecar(t, { databaseUrl: guest.url })
  await client.set('k', 'x')
  await database.query(`revoke select on cache_entries from ${guest.name}`)
  for (const path of [...paths, '/v1/entries?values=true'])
    isProblem(t, await client.request('GET', path), 403, /does not have the right/)
})

t.test('there is no table yet', async (t) => {
  const { url } = await freshDatabase(t)
  const { client } = await startSidecar(t, { databaseUrl: url, migrate: false })
  for (const path of paths)
    isProblem(
      t,
      await client.request('GET', path),
      503,
      'The database has no table for the cache yet: run "caching-layer migrate"',
    )
})

t.test('slow lists end in time, and leave the only connection to reads in between', async (t) => {
  const database = await freshDatabase(t)
  const guest = await guestOf(t, database)
  const { client } = await startLiveSidecar(t, { databaseUrl: guest.url, databasePoolSize: 1 })
  await database.query(
    "insert into cache_entries (key, value) select 'k' || n, n from generate_series(1, 500) n",
  )
  await database.query('alter table cache_entries force row level security, enable row level security')
  await database.query(
    "create policy hurried on cache_entries using (current_setting('statement_timeout') = '1s')",
  )
  t.same(
    (await client.request('GET', '/v1/entries:count')).body,
    { count: 500 },
    'half of DATABASE_TIMEOUT_MS',
  )
  t.equal((await client.get('k500')).status, 404, 'a read has all of it')
  await database.query('drop policy hurried on cache_entries')
  // A list of all takes 10 s, a read 20 ms.
  await database.query('create policy slow on cache_entries using (pg_sleep(0.02)::text is not null)')
  const tooSlow = /^The database did not (list|count) the entries in time: /
  for (const path of paths) isProblem(t, await client.request('GET', path), 503, tooSlow)
  t.match((await client.request('GET', '/v1/entries:count')).body.detail, /give a longer prefix/)

  const lists = Promise.all(Array.from({ length: 30 }, () => client.request('GET', '/v1/entries')))
  const reads = await Promise.all(Array.from({ length: 10 }, (_, index) => client.get(`k${index + 1}`)))
  t.strictSame(
    reads.map(({ status, body }) => [status, body.source]),
    Array(10).fill([200, 'db']),
  )
  const refused = await lists
  for (const answer of refused)
    isProblem(t, answer, 503, /in time|^Too many requests for lists and counts are waiting/)
  t.equal(refused.filter(({ body }) => /^Too many/.test(String(body.detail))).length, 13, 'one asks, 16 wait')
  t.equal((await client.stats()).database.opened, 0, 'the breaker does not open')
})
