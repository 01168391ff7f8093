import { once } from 'node:events'
import pg from 'pg'
import t, { type Test } from 'tap'
import { Attempts } from '../../../src/postgres/pool/attempts.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { FaultProxy } from '../../support/fault-proxy.js'
import { recordingLog } from '../../support/recording-log.js'
import type { Fleet } from '../fleet/fleet.js'
import { ReadStandby } from '../fleet/read-standby.js'
import { ClusterCopy } from './cluster-copy.js'
import { FullQueue } from './full-queue.js'
import { standbyBehind } from './server-faults.js'
import { splitServers } from './split-servers.js'

async function clientOf(t: Test, connectionString: string, application_name = 'test') {
  const client = new pg.Client({ connectionString, application_name })
  client.on('error', () => undefined)
  await client.connect()
  t.teardown(() => client.end())
  return client
}

t.test('a deaf listener receives nothing and does not notice', async (t) => {
  const server = await ownServer(t)
  const proxy = new FaultProxy(server.port)
  const proxied = Object.assign(new URL(server.url()), { port: String(await proxy.listen()) }).href
  t.teardown(() => proxy.close())
  t.equal(proxy.deafen(), false, 'nobody listens')
  const listener = await clientOf(t, proxied, 'caching-layer changes')
  const notifier = await clientOf(t, server.url())
  const heard: string[] = []
  listener.on('notification', ({ payload = '' }) => heard.push(payload))
  await listener.query('listen one')

  await notifier.query(`select pg_notify('one', 'before')`)
  await eventually(() => heard.length === 1)
  t.equal(proxy.deafen(), true)
  t.same((await listener.query('select 1 as answer')).rows, [{ answer: 1 }], 'its answers are its own')
  await notifier.query(`select pg_notify('one', 'after')`)
  t.same((await listener.query('select pg_listening_channels()')).rows, [])
  t.same(heard, ['before'])

  await listener.query('listen one')
  const again = once(listener, 'notification')
  await notifier.query(`select pg_notify('one', 'again')`)
  await again
  t.same(heard, ['before', 'again'])
})

t.test('with a full queue, no transaction that notifies commits until it is drained', async (t) => {
  const server = await ownServer(t, { max_notify_queue_pages: '64' })
  const client = await clientOf(t, server.url())
  const queue = await FullQueue.fill(server.url())
  await t.rejects(client.query(`select pg_notify('any', '')`), { code: '54000' })
  await queue.release()
  await eventually(async () => {
    const { rows } = await client.query('select pg_notification_queue_usage() as usage')
    return rows[0].usage < 1
  })
  await client.query(`select pg_notify('any', '')`)
})

t.test(
  'a standby takes the place of the primary without what came last, and in another timeline',
  async (t) => {
    const server = await ownServer(t)
    const run = async (sql: string) => {
      const client = await clientOf(t, server.url())
      return (await client.query({ text: sql, rowMode: 'array' })).rows.flat()
    }
    const timeline = () => run('select left(pg_walfile_name(pg_current_wal_lsn()), 8)')
    await run('create table entries (value text)')
    await run(`insert into entries values ('first')`)
    const standby = await ClusterCopy.ofStopped(server)
    await run(`insert into entries values ('lost')`)
    t.same(await timeline(), ['00000001'])

    await server.stop('immediate')
    await standby.takePlace(server, 'standby')
    t.same(await run('select value from entries'), ['first'])
    await t.rejects(run(`insert into entries values ('early')`), /read-only transaction/)
    t.same(await run('select pg_promote()'), [true])
    await run(`insert into entries values ('next')`)
    t.same(await run('select value from entries'), ['first', 'next'])
    t.same(await timeline(), ['00000002'])
  },
)

t.test('a restored snapshot continues its history in the same timeline', async (t) => {
  const server = await ownServer(t)
  await migrate(server.url())
  const run = async (sql: string) => {
    const client = await clientOf(t, server.url())
    return (await client.query({ text: sql, rowMode: 'array' })).rows.flat()
  }
  const epoch = () => run('select cache_epoch()')
  await run(`insert into cache_entries (key, value) values ('first', '')`)
  const copy = await ClusterCopy.ofStopped(server)
  const before = await epoch()
  const number = 'insert into cache_entries (key, value) values ($$k$$, $$$$) returning version >> 24'
  const lost = await run(number)
  await server.stop('immediate')
  await copy.takePlace(server, 'primary')
  t.same(await run('select key from cache_entries'), ['first'])
  t.same(await epoch(), before)
  t.same(await run(number), lost, 'the same number is handed out again')
})

t.test('two servers run side by side, and the new one has all data', async (t) => {
  const server = await ownServer(t)
  await migrate(server.url())
  const run = async (port: number, sql: string) => {
    const url = Object.assign(new URL(server.url()), { port: String(port) }).href
    const client = await clientOf(t, url)
    return (await client.query({ text: sql, rowMode: 'array' })).rows.flat()
  }
  await run(server.port, `insert into cache_entries (key, value) values ('k', 'before')`)
  const epoch = await run(server.port, 'select cache_epoch()')
  const led: number[] = []
  const fleet = {
    postgres: server,
    standby: { stop: async () => undefined, rebuild: async () => undefined },
    alone: (work: () => Promise<void>) => work(),
    lead: (port: number) => led.push(port),
    administer: (sql: string) => run(server.port, sql),
  }
  await splitServers({ fleet: fleet as unknown as Fleet }, { durationMs: 0, choice: 0 }, async () => {
    const port = led[0] as number
    t.same(await run(port, 'select value from cache_entries'), ['before'])
    t.notSame(await run(port, 'select cache_epoch()'), epoch)
    t.same(await run(server.port, 'select cache_epoch()'), epoch, 'the old one is still there')
    await run(port, `update cache_entries set value = 'after'`)
  })
  t.equal(led[1], server.port)
  t.same(await run(server.port, 'select value from cache_entries'), ['after'])
})

t.test('a standby answers no read of a sidecar, not even of a key that it does not have', async (t) => {
  const server = await ownServer(t)
  await migrate(server.url())
  const url = server.url()
  const { log } = recordingLog()
  const clock = { now: () => performance.now(), defer: setImmediate }
  const database = new Database({ url, poolSize: 1, timeoutMs: 5_000, log })
  t.teardown(() => database.close())
  const store = new PostgresStore({
    database,
    attempts: new Attempts({ clock, log, timeoutMs: 5_000 }),
    schema: new SchemaName(database),
  })
  const key = 'key'
  t.match((await store.read([{ key }])).get(key), { version: undefined })
  const standby = await ClusterCopy.ofStopped(server)
  await server.stop('immediate')
  await standby.takePlace(server, 'standby')
  await t.rejects(store.read([{ key }]), { code: 'store-suspended', message: /recovery/ })
})

t.test(
  'a standby to read from follows, falls behind, and is made anew after a snapshot was put back',
  async (t) => {
    const server = await ownServer(t)
    const standby = await ReadStandby.create(server, {})
    t.teardown(() => standby.close())
    const run = async (port: number, sql: string) => {
      const url = Object.assign(new URL(server.url()), { port: String(port) }).href
      const client = await clientOf(t, url)
      return (await client.query({ text: sql, rowMode: 'array' })).rows.flat()
    }
    const shown = () => run(standby.port, 'select value from entries').catch(() => [])
    const shows = (values: readonly string[]) =>
      eventually(async () => JSON.stringify(await shown()) === JSON.stringify(values))
    await run(server.port, 'create table entries (value text)')
    await run(server.port, `insert into entries values ('first')`)
    await shows(['first'])

    const fleet = { standby } as unknown as Fleet
    await standbyBehind({ fleet }, { durationMs: 0, choice: 0 }, async () => {
      await run(server.port, `insert into entries values ('second')`)
      const [receivedAll] = await run(
        server.port,
        `select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text`,
      )
      await eventually(async () => {
        const [received] = await run(
          standby.port,
          `select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::text`,
        )
        return BigInt(received) >= BigInt(receivedAll)
      })
      t.same(await shown(), ['first'])
    })
    await shows(['first', 'second'])

    const copy = await ClusterCopy.ofStopped(server)
    await run(server.port, `insert into entries values ('lost')`)
    await shows(['first', 'second', 'lost'])
    await standby.stop()
    await t.rejects(run(standby.port, 'select'), 'nobody reads from it')
    await server.stop('immediate')
    await copy.takePlace(server, 'primary')
    await standby.rebuild()
    await shows(['first', 'second'])
    await run(server.port, `insert into entries values ('next')`)
    await shows(['first', 'second', 'next'])
  },
)
