import pg from 'pg'
import t from 'tap'
import { ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { JsonClient } from '../../support/json-client.js'
import { startLiveSidecar } from '../../support/sidecar.js'
import { standbyOf } from '../../support/standby.js'

const boundMs = 1_000

async function untilFeed(state: string, clients: readonly JsonClient[]): Promise<void> {
  for (const client of clients) await eventually(async () => (await client.stats()).feed.state === state)
}

t.test('a promoted standby that lacks the last writes is recognised as another history', async (t) => {
  const server = await ownServer(t)
  const options = { databaseUrl: server.url(), maxStalenessMs: boundMs }
  const one = (await startLiveSidecar(t, options)).client
  const two = (await startLiveSidecar(t, options)).client
  const clients = [one, two]
  const versionOf = async (key: string) => {
    const client = new pg.Client({ connectionString: server.url() })
    await client.connect()
    const { rows } = await client.query('select version from cache_entries where key = $1', [key])
    await client.end()
    return rows[0]?.version
  }
  const marks = async () => {
    const client = new pg.Client({ connectionString: server.url() })
    await client.connect()
    const { rows } = await client.query<{ mark: string }>('select mark from cache_marks')
    await client.end()
    return rows.map(({ mark }) => mark)
  }
  const heldByAll = async (key: string, value: unknown) => {
    for (const client of clients) t.equal(await client.held(key), value, `${key} is held`)
  }

  for (const key of ['reissued', 'untouched', 'updated']) await one.set(key, 'before')
  await server.stop('fast')
  const standby = await standbyOf(t, server)
  await server.start()
  await untilFeed('live', clients)

  // The tail. The standby is going to draw the first number of it again, and for the same key.
  const { token } = (await one.set('reissued', 'lost')).body
  const reissued = await versionOf('reissued')
  await one.set('updated', 'lost')
  await one.set('inserted', 'lost')
  await one.delete('untouched')
  for (const key of ['reissued', 'updated', 'inserted']) await heldByAll(key, 'lost')

  const epochBefore = String(token).split('.').at(-1)
  const marksBefore = await marks()
  await server.stop('immediate')
  await untilFeed('down', clients)
  t.match((await one.set('updated', 'kept')).body, { ok: true, db_written: false })
  t.match((await two.set('never heard of', 'kept')).body, { ok: true, db_written: false })

  await standby.start()
  for (const client of clients) {
    await eventually(async () => /recovery|read-only/.test((await client.request('GET', '/health')).text))
    t.match((await client.set('written to a standby', 1)).body, { db_written: false })
  }

  const database = new pg.Client({ connectionString: server.url() })
  await database.connect()
  t.teardown(() => database.end())
  const epoch = async () => (await database.query('select cache_epoch()')).rows[0].cache_epoch
  await t.rejects(epoch(), /recovery/, 'a standby tells no epoch')
  await standby.promote()
  t.match(await epoch(), /^\d+-[0-9A-F]{8}$/)
  t.not(await epoch(), epochBefore, 'a session that has lived through the promotion tells the new one')
  // The version as the sidecar's write left it: an upsert is stamped twice.
  await database.query(
    `insert into cache_entries (key, value) values ('reissued', 'other')
     on conflict (key) do update set value = excluded.value`,
  )
  const changedMs = performance.now()
  const sequencePart = (version: string) => BigInt(version) >> 24n
  t.equal(
    sequencePart(await versionOf('reissued')),
    sequencePart(reissued),
    'the very same number, for the same key',
  )
  t.not(await versionOf('reissued'), reissued, 'and another version')

  const expected = { reissued: 'other', untouched: 'before', updated: 'before', inserted: undefined }
  for (const client of clients) {
    await eventually(async () => {
      const wrong: string[] = []
      for (const [key, value] of Object.entries(expected)) {
        const askedMs = performance.now()
        const { status, body } = await client.get(key)
        const isRight = status === (value === undefined ? 404 : 200) && body.value === value
        if (isRight) continue
        wrong.push(key)
        const isFresh = (status === 200 || status === 404) && body.stale === undefined
        if (isFresh && askedMs - changedMs > boundMs)
          t.fail(`${key}: ${JSON.stringify(body)} is served as fresh`)
      }
      return wrong.length === 0
    })
  }
  await untilFeed('live', clients)
  for (const [key, value] of Object.entries(expected)) {
    for (const client of clients) t.equal(await client.value(key), value, key)
  }
  for (const client of clients) {
    t.equal((await client.stats()).feed.flushes, 1, 'another history was noticed')
    t.equal(await client.held('reissued'), 'other')
    // Held, and of the version that the token names.
    const read = await client.request(
      'GET',
      `/cache/get?key=reissued&token=${encodeURIComponent(String(token))}`,
    )
    t.match(read.body, { value: 'other', source: 'db' }, 'a token of the lost history leads to the primary')
  }
  // Cached entries differ from their rows now. Keys that were not cached had no row, and the mark from before the tail
  // exists.
  const [first, second] = [(await one.stats()).writes, (await two.stats()).writes]
  t.match([first.pending, second.pending], [0, 0])
  const marksNow = await marks()
  if (marksBefore.some((mark) => !marksNow.includes(mark))) {
    // On a slow machine the tail has a mark of its own. It is gone, and so nothing is known of keys without an entry.
    t.equal(
      first.pending_settled + second.pending_settled + first.pending_conflicts + second.pending_conflicts,
      4,
    )
    return
  }
  t.equal(first.pending_settled + second.pending_settled, 2)
  t.equal(first.pending_conflicts + second.pending_conflicts, 2)
  const { rows } = await database.query("select key from cache_entries where value = 'kept'")
  t.strictSame(rows, [{ key: 'never heard of' }])
})
