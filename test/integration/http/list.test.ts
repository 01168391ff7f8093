import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { inByteOrder, listed } from '../../support/listed.js'
import { startLiveSidecar } from '../../support/sidecar.js'

t.test('a list has every entry once, with what is known of it', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  t.same((await client.request('GET', '/v1/entries')).body, { entries: [] }, 'of an empty table')
  await client.set('a', 'ä')
  await client.set('b', { n: 1.0 })
  await query("update cache_entries set expires_at = now() + interval '1 hour' where key = 'b'")
  await query("insert into cache_entries (key, value, expires_at) values ('c', 'x', now() - interval '1 s')")
  await query("insert into cache_entries (key, value, expires_at) values ('d', 'x', 'infinity')")
  const { rows } = await query<{ version: string }>('select version::text from cache_entries order by key')

  const { status, headers, text, body } = await client.request('GET', '/v1/entries')
  t.equal(status, 200)
  t.match(headers['content-type'], 'application/json')
  t.equal(headers.link, undefined)
  t.notOk('next' in body)
  const [a, b, d, ...others] = JSON.parse(text).entries
  t.strictSame(a, { key: 'a', version: rows[0]?.version, size: 2, expires_in_seconds: null })
  t.match(b, { key: 'b', version: rows[1]?.version, size: 7 })
  t.ok(b.expires_in_seconds > 3_500 && b.expires_in_seconds <= 3_600, `${b.expires_in_seconds} s`)
  t.match(d, { key: 'd', expires_in_seconds: null })
  t.strictSame(others, [], 'the expired entry is not listed')
  t.same((await client.request('GET', '/v1/entries:count')).body, { count: 3 }, 'nor counted')
})

t.test('pages follow each other by the link', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await query("insert into cache_entries (key, value) select 'k' || n, 'x' from generate_series(1, 250) n")
  const keys = inByteOrder(Array.from({ length: 250 }, (_, index) => `k${index + 1}`))

  const first = await client.request('GET', '/v1/entries')
  t.equal((first.body.entries as unknown[]).length, 100, 'the default')
  t.equal(first.body.next, keys[99])
  t.equal(first.headers.link, `</v1/entries?prefix=&limit=100&after=${keys[99]}>; rel="next"`)
  for (const limit of [1, 7, 125, 249, 250, 251, 1_000])
    t.strictSame(
      (await listed(client, `?limit=${limit}`)).map(({ key }) => key),
      keys,
      `${limit}`,
    )
  const exact = await client.request('GET', '/v1/entries?limit=250')
  t.equal(exact.headers.link, undefined, 'a full page that is the last one says so')
  const after = await client.request('GET', '/v1/entries?prefix=k2&after=k24')
  t.strictSame(
    (after.body.entries as { key: string }[]).map(({ key }) => key),
    keys.filter((key) => key.startsWith('k2') && key > 'k24'),
  )
  t.same((await client.request('GET', '/v1/entries?prefix=k2&after=a&limit=1')).body.next, 'k2')
  t.same((await client.request('GET', '/v1/entries?prefix=k2&after=l')).body, { entries: [] })
  const { headers } = await client.request('GET', '/v1/entries?limit=1&values=true')
  t.match(headers.link, /&values=true>/)
})

t.test('many expired entries in a row do not end a list', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await query(
    `insert into cache_entries (key, value, expires_at)
     select to_char(n, 'FM00000'), 'x', case when n % 500 <> 1 then now() - interval '1 s' end
     from generate_series(1, 5003) n`,
  )
  const live = Array.from({ length: 11 }, (_, index) => String(index * 500 + 1).padStart(5, '0'))
  for (const limit of [1, 2, 1_000])
    t.strictSame(
      (await listed(client, `?limit=${limit}`)).map(({ key }) => key),
      live,
      `${limit}`,
    )
  t.same((await client.request('GET', '/v1/entries:count')).body, { count: live.length })
})

t.test('values come on request, exactly as they are stored', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await client.set('json', ['12345678901234567890', { z: 1, a: null }])
  const exact = '{"z":1.0,"1":12345678901234567890}'
  await client.request('POST', '/cache/set', { raw: `{"key":"exact","value":${exact}}` })
  await client.set('text', 'a "quoted" \n text')
  const { text } = await client.request('GET', '/v1/entries?values=true')
  t.ok(text.includes(`"value":${exact}}`), 'numbers keep their digits, members their order')
  t.match(JSON.parse(text).entries, [
    { key: 'exact', size: exact.length },
    { key: 'json', value: ['12345678901234567890', { z: 1, a: null }] },
    { key: 'text', value: 'a "quoted" \n text', size: 17 },
  ])
  t.notOk((await client.request('GET', '/v1/entries')).text.includes('"value"'))
  t.notOk((await client.request('GET', '/v1/entries?values=false')).text.includes('"value"'))
})

t.test('a page with values ends early when they take too much memory', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, maxValueBytes: 1_024 * 1_024 })
  await query(
    `insert into cache_entries (key, value)
     select 'v' || n, repeat(n::text, case n when 5 then 5 * 1048576 else 1048576 end) from generate_series(1, 9) n`,
  )
  const first = await client.request('GET', '/v1/entries?values=true')
  t.same(
    (first.body.entries as { key: string }[]).map(({ key }) => key),
    ['v1', 'v2', 'v3', 'v4', 'v5'],
  )
  t.equal(first.body.next, 'v5')
  const entries = await listed(client, '?values=true')
  t.same(
    entries.map(({ key }) => key),
    ['v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7', 'v8', 'v9'],
  )
  for (const { key, size, value } of entries) {
    if (key === 'v5')
      t.match({ size, value }, { size: 5 * 1_048_576, value: undefined }, 'too large for a page')
    else t.equal(value, (key[1] as string).repeat(size), key)
  }
})

t.test('a list never comes from memory', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client, ops } = await startLiveSidecar(t, { databaseUrl: url })
  await client.set('k', 'held')
  await client.held('k')
  const stats = await client.stats()
  // Nobody is told of this change.
  await query('alter table cache_entries disable trigger user')
  await query("update cache_entries set value = 'changed'")
  const { entries } = (await client.request('GET', '/v1/entries?values=true')).body
  t.match(entries, [{ key: 'k', value: 'changed' }])
  t.match(await client.stats(), { size: stats.size, misses: stats.misses }, 'nor does it fill the memory')
  await client.request('GET', '/v1/entries:count')
  await client.request('HEAD', '/v1/entries')
  await client.request('POST', '/v1/entries')
  const { text } = await ops.request('GET', '/metrics')
  t.match(text, /^caching_layer_requests_total\{route="\/v1\/entries",outcome="ok",source="db"\} 2$/m)
  t.match(text, /^caching_layer_requests_total\{route="\/v1\/entries:count",outcome="ok",source="db"\} 1$/m)
  t.notMatch(text, /route="[^"]*\\/, 'no label has the escapes of the router')
})
