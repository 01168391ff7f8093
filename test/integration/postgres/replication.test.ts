import pg from 'pg'
import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { Announcements } from '../../support/announcements.js'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const publisher = await freshDatabase(t)
const { rows } = await publisher.query<{ wal_level: string }>('show wal_level')
const skip = rows[0]?.wal_level === 'logical' ? false : `wal_level is ${rows[0]?.wal_level}, not logical`

t.test('rows applied by logical replication are announced', { skip }, async (t) => {
  const subscriber = await freshDatabase(t)
  await Promise.all([migrate(publisher.url), migrate(subscriber.url)])
  const name = subscriber.name
  await publisher.query("insert into cache_entries (key, value) values ('from before', 'copied')")
  await publisher.query(`create publication everything for table cache_entries`)
  // Apart: CREATE SUBSCRIPTION would wait for itself when both databases are on one server.
  await publisher.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [name])
  const { client } = await startLiveSidecar(t, { databaseUrl: subscriber.url })
  const announced = await Announcements.of(t, subscriber)
  t.equal((await client.get('from before')).status, 404)

  const { hostname, port, username, password } = new URL(publisher.url)
  const parts = { host: hostname, port, user: username, password, dbname: publisher.name }
  const connection = Object.entries(parts)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${decodeURIComponent(value)}`)
    .join(' ')
  await subscriber.query(
    `create subscription everything connection ${pg.escapeLiteral(connection)} publication everything
     with (create_slot = false, slot_name = '${name}')`,
  )
  t.teardown(async () => {
    await subscriber.query('alter subscription everything disable')
    await subscriber.query('alter subscription everything set (slot_name = none)')
    await subscriber.query('drop subscription everything')
    await eventually(() => publisher.query('select pg_drop_replication_slot($1)', [name]))
  })
  const follows = (key: string, value: unknown) =>
    eventually(async () => JSON.stringify(await client.value(key)) === JSON.stringify(value))

  await t.test('the rows of the initial copy are announced', async () => follows('from before', 'copied'))

  await t.test('INSERT, UPDATE and DELETE', async (t) => {
    await publisher.query("insert into cache_entries (key, value) values ('a', '1')")
    await follows('a', '1')
    t.equal(await client.held('a'), '1')
    await publisher.query("update cache_entries set value = '2' where key = 'a'")
    await follows('a', '2')
    t.equal(await client.held('a'), '2')
    await publisher.query("delete from cache_entries where key = 'a'")
    await follows('a', undefined)
    t.ok((await announced.ids()).includes('a'))
  })

  await t.test('a renamed key', async (t) => {
    await publisher.query("insert into cache_entries (key, value) values ('old', '1')")
    await follows('old', '1')
    t.equal(await client.held('old'), '1')
    t.equal(await client.value('new'), undefined)
    await publisher.query("update cache_entries set key = 'new' where key = 'old'")
    await follows('old', undefined)
    await follows('new', '1')
  })

  await t.test('versions are those of this database, and content types are replicated', async (t) => {
    const writer = await startLiveSidecar(t, { databaseUrl: publisher.url })
    await writer.client.set('typed', { a: 1 })
    await follows('typed', { a: 1 })
    await writer.client.set('typed', [2])
    await follows('typed', [2])
    await writer.client.set('typed', 'text')
    await follows('typed', 'text')
    await writer.client.set('typed', { b: 'x'.repeat(100_000) })
    await follows('typed', { b: 'x'.repeat(100_000) })
    await publisher.query("update cache_entries set updated_at = now() where key = 'typed'")
    await publisher.query("insert into cache_entries (key, value) values ('mark', '1')")
    await follows('mark', '1')
    await follows('typed', { b: 'x'.repeat(100_000) })
    const { rows } = await subscriber.query(
      'select version <= (select (last_value << 24) | 16777215 from cache_version) as own from cache_entries',
    )
    t.ok(rows.every(({ own }) => own === true))
  })

  await t.test('TRUNCATE', async () => {
    await client.held('typed')
    await publisher.query('truncate cache_entries')
    await follows('typed', undefined)
  })
})
