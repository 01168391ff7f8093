import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { JsonClient } from '../../support/json-client.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const post = (client: JsonClient, path: string, body: unknown) => client.request('POST', path, { body })

t.test('entries are removed by key, group and prefix, everywhere', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client: one } = await startLiveSidecar(t, { databaseUrl: url })
  const { client: two } = await startLiveSidecar(t, { databaseUrl: url })
  const set = (key: string, groups: string[]) =>
    post(one, '/cache/set', { key, value: 1, groups, ttl_seconds: 3_600 })
  const left = async () =>
    (await query<{ key: string }>('select key from cache_entries order by key')).rows.map(({ key }) => key)
  const everybodyReads = async (key: string, status: number) => {
    t.equal((await one.get(key)).status, status, `${key} at the sidecar that was asked`)
    await eventually(async () => (await two.get(key)).status === status)
  }
  await one.set('plain', 1)
  await set('a', ['user:42', 'page:home'])
  await set('b', ['user:42'])
  await set('c', ['quote " \\ , {}'])
  await set('p:1', [])
  await set('p:2', ['page:home'])
  await set('q', ['page:home'])
  for (const key of await left()) await two.get(key)
  t.strictSame(await left(), ['a', 'b', 'c', 'p:1', 'p:2', 'plain', 'q'])

  t.same((await post(one, '/v1/invalidate', { groups: ['user:42'] })).body, { removed: 2 })
  await everybodyReads('a', 404)
  await everybodyReads('b', 404)
  t.equal((await two.get('q')).body.source, 'cache', 'others are still held')
  t.same((await post(one, '/v1/invalidate', { groups: ['quote " \\ , {}'] })).body, { removed: 1 })
  await everybodyReads('c', 404)
  t.same((await post(one, '/v1/invalidate', { prefix: 'p:' })).body, { removed: 2 })
  await everybodyReads('p:1', 404)
  await everybodyReads('p:2', 404)
  t.same((await post(one, '/v1/invalidate', { keys: ['q', 'absent'], prefix: 'x' })).body, { removed: 1 })
  await everybodyReads('q', 404)
  t.strictSame(await left(), ['plain'])
  t.same((await post(one, '/v1/invalidate', { all: true })).body, { removed: 1 })
  await everybodyReads('plain', 404)
})

t.test('a set without groups ends a membership', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  for (const options of [{}, { ttl_seconds: 60 }]) {
    await post(client, '/cache/set', { key: 'k', value: 1, groups: ['g', 'h', 'g'], ...options })
    t.same((await query('select groups from cache_entries')).rows, [{ groups: ['g', 'h'] }])
    await post(client, '/cache/set', { key: 'k', value: 1, ...options })
    t.same((await query('select groups from cache_entries')).rows, [{ groups: null }])
  }
  t.same((await post(client, '/v1/invalidate', { groups: ['g'] })).body, { removed: 0 })
})

t.test('sets of every form at the same moment keep their groups', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const numbers = Array.from({ length: 60 }, (_, index) => index)
  await Promise.all(
    numbers.map((number) =>
      post(client, '/cache/set', {
        key: `${number}`,
        value: number,
        ...(number % 2 === 0 && { groups: [`g${number % 5}`, 'even'] }),
        ...(number % 3 === 0 && { ttl_seconds: 60 }),
      }),
    ),
  )
  const { rows } = await query<{ key: string; groups: string[] | null; expires: boolean }>(
    'select key, groups, expires_at is not null as expires from cache_entries order by key::int',
  )
  t.same(
    rows,
    numbers.map((number) => ({
      key: `${number}`,
      groups: number % 2 === 0 ? [`g${number % 5}`, 'even'] : null,
      expires: number % 3 === 0,
    })),
  )
  t.same((await post(client, '/v1/invalidate', { groups: ['even'] })).body, { removed: 30 })
})

t.test('a request that selects nothing, or too much, is refused', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const many = Array.from({ length: 1_001 }, (_, index) => `${index}`)
  const refused: [body: object, detail: RegExp][] = [
    [{}, /^body: selects nothing; name keys, groups or a prefix$/],
    [{ keys: [], groups: [] }, /^body: selects nothing/],
    [{ prefix: '' }, /^prefix: must not be empty; to remove all entries, send "all": true$/],
    [{ prefix: 7 }, /^prefix: must be a string$/],
    [{ prefix: 'a\0' }, /^prefix: must not contain U\+0000$/],
    [{ all: 'yes' }, /^all: must be true or false$/],
    [{ all: true, keys: ['k'] }, /^all: removes all entries, so no other member may select some$/],
    [{ keys: 'k' }, /^keys: must be an array of strings$/],
    [{ keys: ['k', ''] }, /^keys\[1\]: must not be empty$/],
    [{ keys: many }, /^keys: more than 1000$/],
    [{ groups: many }, /^groups: more than 1000$/],
    [{ groups: [''] }, /^groups\[0\]: must not be empty$/],
    [{ groups: ['g'.repeat(257)] }, /^groups\[0\]: longer than 256 bytes of UTF-8$/],
    [{ group: ['g'] }, /^group: unknown member; did you mean groups\?$/],
  ]
  for (const [body, detail] of refused) {
    const answer = await post(client, '/v1/invalidate', body)
    t.equal(answer.status, 422)
    t.match(answer.body.detail, detail)
  }
  const set = (groups: unknown) => post(client, '/cache/set', { key: 'k', value: 1, groups })
  t.match((await set('g')).body.detail, /^groups: must be an array of strings$/)
  t.match((await set(many.slice(0, 33))).body.detail, /^groups: more than 32$/)
  t.equal((await client.request('GET', '/v1/invalidate')).status, 405)
})

t.test('PUT takes the groups from the header Cache-Groups', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const put = (groups: string, headers = {}) =>
    client.request('PUT', '/v1/entries/k', {
      raw: 'x',
      headers: { 'Content-Type': 'text/plain', 'Cache-Groups': groups, ...headers },
    })
  const stored = async () =>
    (await query<{ groups: string[] | null }>('select groups from cache_entries')).rows[0]?.groups
  for (const headers of [{}, { 'Cache-Control': 'max-age=60' }, { 'If-Match': '*' }]) {
    t.match(await put('"user:42",\t"a \\"b\\" \\\\"', headers), { status: /^20[14]$/ })
    t.same(await stored(), ['user:42', 'a "b" \\'])
    t.match(await put('', headers), { status: 204 })
    t.same(await stored(), null)
  }
  for (const groups of ['user:42', '"a" "b"', '"a",', '"a', ',"a"', '"a";b=1', '"é"'])
    t.match(
      await put(groups),
      { status: 422, body: { detail: /^Cache-Groups: must be a list of strings/ } },
      groups,
    )
  t.match(await put('""'), { status: 422, body: { detail: /^Cache-Groups\[0\]: must not be empty$/ } })
})
