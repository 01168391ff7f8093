/** Tests of keys that do not exist: few statements for many reads, and no late answer (P14). */
import { connect } from 'node:net'
import t from 'tap'
import { cacheDatabase, type FreshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { Answer, JsonClient } from '../../support/json-client.js'
import { type StartedSidecar, startLiveSidecar } from '../../support/sidecar.js'

/** Sends this many GETs, one after the other, of the keys in turn. Resolves to the statuses that came back. */
function readInTurn(port: number, keys: readonly string[], count: number): Promise<Map<string, number>> {
  const requests = keys.map((key) => `GET /cache/get?key=${key} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  return new Promise((resolve, reject) => {
    const statuses = new Map<string, number>()
    let [sent, answered, rest] = [0, 0, '']
    const socket = connect(port, '127.0.0.1')
    const send = () => {
      let text = ''
      for (const end = Math.min(count, sent + 100); sent < end; sent++) text += requests[sent % keys.length]
      socket.write(text)
    }
    socket.setEncoding('latin1')
    socket.on('connect', send)
    socket.on('error', reject)
    socket.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('HTTP/1.1 ')
      // The last part may be cut; each other one is a response.
      rest = parts.length > 1 ? `HTTP/1.1 ${parts.pop()}` : (parts[0] ?? '')
      for (const part of parts.slice(1)) add(part)
      if (answered === sent - 1 && rest.endsWith('}')) {
        add(rest.slice('HTTP/1.1 '.length))
        rest = ''
      }
      if (answered === count) {
        socket.end()
        resolve(statuses)
      } else if (answered === sent) send()
    })
    const add = (response: string) => {
      const status = response.slice(0, 3)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      answered++
    }
  })
}

/** Closes the sidecar, and returns how often the server has searched the table. A backend reports that when it ends. */
async function searchesOf({ sidecar }: StartedSidecar, { query }: FreshDatabase): Promise<number> {
  await sidecar.close()
  await eventually(async () => {
    const { rows } = await query<{ count: string }>(
      `select count(*) from pg_stat_activity
       where datname = current_database() and backend_type = 'client backend' and application_name <> 'test'`,
    )
    return rows[0]?.count === '0'
  })
  const { rows } = await query<{ count: string }>(
    "select seq_scan + idx_scan as count from pg_stat_user_tables where relname = 'cache_entries'",
  )
  return Number(rows[0]?.count)
}

t.test('20,000 reads of keys that do not exist reach the database a few times per key', async (t) => {
  const database = await cacheDatabase(t)
  const started = await startLiveSidecar(t, { databaseUrl: database.url })
  const { sidecar, client } = started
  const keys = Array.from({ length: 10 }, (_, n) => `none:${n}`)
  const reads = await Promise.all([1, 2, 3, 4].map(() => readInTurn(sidecar.port, keys, 5_000)))
  for (const statuses of reads) t.strictSame([...statuses], [['404', 5_000]])
  const { negative, hits, misses } = await client.stats()
  t.match(negative, { size: 10, bytes: 60, evictions: 0 })
  t.equal(hits, negative.hits)
  t.equal(hits + misses, 20_000)
  t.ok(misses <= 5 * keys.length, `${misses} misses`)
  const searched = await searchesOf(started, database)
  t.ok(searched >= 1 && searched <= 5 * keys.length, `${searched} searches for ${keys.length} keys`)
})

t.test('without negative entries, each read is a search: the count above counts', async (t) => {
  const database = await cacheDatabase(t)
  const started = await startLiveSidecar(t, { databaseUrl: database.url, negativeCapacity: 0 })
  await readInTurn(started.sidecar.port, ['none'], 500)
  t.match((await started.client.stats()).negative, { size: 0, capacity: 0, hits: 0 })
  const searched = await searchesOf(started, database)
  t.ok(searched >= 500, `${searched} searches`)
})

function read(client: JsonClient, key: string, headers: Record<string, string> = {}): Promise<Answer> {
  return client.request('GET', `/cache/get?key=${key}`, { headers })
}

/** Reads until the sidecar answers from memory that there is no such key. */
async function knowAbsent(client: JsonClient, key: string): Promise<Answer> {
  const answer = await eventually(async () => {
    const answer = await read(client, key)
    return /^caching-layer; hit/.test(answer.headers['cache-status'] as string) && answer
  })
  return answer as Answer
}

t.test('whoever creates the entry, the next read finds it', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const { client: other } = await startLiveSidecar(t, { databaseUrl: url })
  const creations: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
    'a set here': (key) => client.set(key, 1),
    'a set elsewhere': (key) => other.set(key, 1),
    'an insert': (key) => query('insert into cache_entries (key, value) values ($1, 1)', [key]),
    'a renamed key': async (key) => {
      await query("insert into cache_entries (key, value) values ('old name', 1)")
      await query("update cache_entries set key = $1 where key = 'old name'", [key])
    },
    'an upsert': (key) =>
      query(
        'insert into cache_entries (key, value) values ($1, 1) on conflict (key) do update set value = 1',
        [key],
      ),
    'an insert of too many rows to name': (key) =>
      query(
        'insert into cache_entries (key, value) select $1, 1 union all select n::text, 1 from generate_series(1, 20000) n',
        [key],
      ),
    'a row that had expired': (key) =>
      query("update cache_entries set expires_at = now() + interval '1 hour' where key = $1", [key]),
  }
  for (const [what, create] of Object.entries(creations)) {
    const key = encodeURIComponent(what)
    if (what === 'a row that had expired')
      await query(
        "insert into cache_entries (key, value, expires_at) values ($1, 1, now() - interval '1 hour')",
        [what],
      )
    await knowAbsent(client, key)
    await create(what)
    if (what === 'a set here') t.equal((await read(client, key)).status, 200, 'at once')
    t.ok(await eventually(async () => (await read(client, key)).status === 200), what)
  }
})

t.test('a 404 from memory says so, and can be asked for without the database', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, ttlSeconds: 100 })
  const onlyIfCached = { 'Cache-Control': 'only-if-cached' }
  t.equal((await read(client, 'k', onlyIfCached)).status, 504)
  const missed = await read(client, 'k')
  t.equal(missed.headers['cache-status'], 'caching-layer; fwd=miss; stored')
  t.equal(missed.headers.age, undefined)
  const known = await read(client, 'k')
  t.equal(known.status, 404)
  t.same(known.body, missed.body, 'the same problem')
  t.match(known.headers['cache-status'], /^caching-layer; hit; ttl=(89|9\d)$/)
  t.equal(known.headers.age, '0')
  t.equal((await read(client, 'k', onlyIfCached)).status, 404)
  t.equal(
    (await read(client, 'k', { 'Cache-Control': 'no-cache' })).headers['cache-status'],
    'caching-layer; fwd=request; stored',
  )

  const several = await client.request('POST', '/v1/entries:get', { body: { keys: ['k', 'k'.repeat(3)] } })
  t.match(several.headers['cache-status'], 'caching-layer; fwd=partial')
  t.same(several.body, { entries: [], missing: ['k', 'kkk'] })

  await client.set('k', 1)
  t.match((await client.delete('k')).body, { cache_removed: true, db_removed: true })
  t.equal((await knowAbsent(client, 'k')).status, 404)
  t.match((await client.delete('k')).body, { cache_removed: false, db_removed: false })
})
