import t, { type Test } from 'tap'
import { serve, untilLive } from '../support/child-process.js'
import { copyIn } from '../support/copy-in.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'

const { url, query } = await cacheDatabase(t)
const environment = { DATABASE_URL: url, LOG_LEVEL: 'info', CACHE_CAPACITY: '5000' }
const [a, b] = await Promise.all([serve(t, environment), serve(t, environment)])
await Promise.all([a, b].map(untilLive))
const clients = [a.client, b.client]

/** Resolves when every sidecar holds the key, so that a change makes a held value outdated. */
async function hold(t: Test, key: string, value: unknown): Promise<void> {
  for (const client of clients) t.strictSame(await client.held(key), value, `${key} is held`)
}

/** Resolves when every sidecar returns this value; `undefined` means that there is no such key. */
async function follows(key: string, value: unknown): Promise<void> {
  for (const client of clients) {
    await eventually(async () => (await client.value(key)) === value)
  }
}

t.test('a set on one is read on the other, and held there', async (t) => {
  t.match((await a.client.set('set', 'one')).body, { ok: true, db_written: true })
  t.strictSame((await b.client.get('set')).body, { key: 'set', value: 'one', source: 'db' })
  await hold(t, 'set', 'one')
})

t.test('a set and a delete on the other sidecar', async (t) => {
  await a.client.set('other', 1)
  await hold(t, 'other', 1)
  await b.client.set('other', 2)
  await follows('other', 2)
  await hold(t, 'other', 2)
  t.match((await a.client.delete('other')).body, { cache_removed: true, db_removed: true })
  await follows('other', undefined)
})

t.test('an INSERT by SQL', async (t) => {
  for (const client of clients) t.equal((await client.get('inserted')).status, 404)
  await query("insert into cache_entries (key, value) values ('inserted', 'by SQL')")
  await follows('inserted', 'by SQL')
  await hold(t, 'inserted', 'by SQL')
  await query(
    `insert into cache_entries (key, value) values ('inserted', 'again')
     on conflict (key) do update set value = excluded.value, updated_at = now()`,
  )
  await follows('inserted', 'again')
})

t.test('an UPDATE by SQL', async () => {
  await a.client.set('updated', { json: true })
  for (const client of clients) await client.held('updated')
  await query("update cache_entries set value = 'by SQL' where key = 'updated'")
  await follows('updated', 'by SQL')
})

t.test('a DELETE by SQL', async (t) => {
  await a.client.set('deleted', 1)
  await hold(t, 'deleted', 1)
  await query("delete from cache_entries where key = 'deleted'")
  await follows('deleted', undefined)
})

t.test('a renamed key', async (t) => {
  await a.client.set('old name', 'v')
  await hold(t, 'old name', 'v')
  await query("update cache_entries set key = 'new name' where key = 'old name'")
  await follows('old name', undefined)
  await follows('new name', 'v')
  await hold(t, 'new name', 'v')
})

t.test('a COPY', async (t) => {
  for (const client of clients) t.equal((await client.get('copied')).status, 404)
  await copyIn(url, 'copy cache_entries (key, value) from stdin', 'copied\tby-copy\n')
  await follows('copied', 'by-copy')
})

t.test('a transaction that is rolled back', async (t) => {
  await a.client.set('rolled back', 1)
  await hold(t, 'rolled back', 1)
  // Changes come in commit order: with the one of an entry that is held, all before it have come.
  await a.client.set('mark', 'held')
  const mark = async (value: string) => {
    for (const client of clients) await client.held('mark')
    await query(
      `insert into cache_entries (key, value) values ('mark', $1)
       on conflict (key) do update set value = excluded.value`,
      [value],
    )
    await follows('mark', value)
    return Promise.all(clients.map(async (client) => (await client.stats()).changes_applied))
  }
  const before = await mark('before')
  await query("begin; update cache_entries set value = '2' where key = 'rolled back'; rollback")
  const after = await mark('after')
  t.strictSame(
    after,
    before.map((changes) => changes + 1),
    'only the mark was announced',
  )
  for (const client of clients) {
    t.strictSame((await client.get('rolled back')).body, { key: 'rolled back', value: 1, source: 'cache' })
  }
})

t.test('an UPDATE of 300,000 rows', async (t) => {
  await query(
    "insert into cache_entries (key, value) select 'many ' || n, '0' from generate_series(1, 300000) as n",
  )
  const keys = Array.from({ length: 300 }, (_, index) => `many ${index * 1_000 + 1}`)
  for (const client of clients) {
    await eventually(async () => (await client.value('many 1')) === '0')
    await Promise.all(keys.map((key) => client.held(key)))
  }
  await query("update cache_entries set value = '1' where key like 'many %'")
  const committed = performance.now()
  await Promise.all(keys.map((key) => follows(key, '1')))
  t.comment(`seen everywhere ${Math.round(performance.now() - committed)} ms after the commit`)
  await Promise.all([a, b].map(untilLive))
  for (const key of keys) await hold(t, key, '1')
})

t.test('a TRUNCATE', async (t) => {
  await a.client.set('truncated', 1)
  await hold(t, 'truncated', 1)
  await query('truncate cache_entries')
  await follows('truncated', undefined)
  await follows('many 1', undefined)
})

t.test('after three concurrent writers all sidecars agree', async (t) => {
  const keys = ['race 1', 'race 2', 'race 3']
  const rounds = Array.from({ length: 60 }, (_, round) => round)
  const bySidecar = async (client: typeof a.client, name: string) => {
    for (const round of rounds) {
      const key = keys[round % keys.length] as string
      if (round % 7 === 6) t.equal((await client.delete(key)).status, 200)
      else t.equal((await client.set(key, `${name} ${round}`)).status, 200)
      t.match(await client.get(key), { status: /^(200|404)$/ })
    }
  }
  await Promise.all([
    bySidecar(a.client, 'a'),
    bySidecar(b.client, 'b'),
    (async () => {
      for (const round of rounds) {
        await query(
          `insert into cache_entries (key, value) values ($1, $2)
           on conflict (key) do update set value = excluded.value, updated_at = now()`,
          [keys[round % keys.length], `sql ${round}`],
        )
        if (round % 5 === 4)
          await query('delete from cache_entries where key = $1', [keys[round % keys.length]])
      }
    })(),
  ])
  const { rows } = await query<{ key: string; value: string }>(
    'select key, value from cache_entries where key = any($1)',
    [keys],
  )
  const stored = new Map(rows.map(({ key, value }) => [key, value]))
  for (const key of keys) await follows(key, stored.get(key))
  t.pass('they agree with the database')
})

t.test('no sidecar logged an error', async (t) => {
  for (const sidecar of [a, b]) {
    t.same(
      sidecar.log.filter(({ level }) => Number(level) >= 40),
      [],
    )
    const stats = await sidecar.client.stats()
    t.match(stats, {
      feed: { losses: 0, state: 'live' },
      writes: { pending: 0, unknown: 0, pending_conflicts: 0 },
    })
  }
})
