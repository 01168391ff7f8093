import pg from 'pg'
import t, { type Test } from 'tap'
import { ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

async function clientOf(t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return client
}

t.test('the notification queue is full', async (t) => {
  const server = await ownServer(t, { max_notify_queue_pages: '64' })
  const { client } = await startLiveSidecar(t, { databaseUrl: server.url(), maxStalenessMs: 1_000 })
  for (const key of ['a', 'b']) await client.set(key, 'before')
  for (const key of ['a', 'b']) await client.held(key)

  // Its position in the queue, which is everybody's tail, cannot move while its transaction is open.
  const blocker = await clientOf(t, server.url())
  await blocker.query('listen something')
  await blocker.query('begin')
  const filler = await clientOf(t, server.url())
  const fill = async (length: number) => {
    for (;;) await filler.query("select pg_notify('nobody', repeat('x', $1))", [length])
  }
  const filled = [await fill(7_000).catch((error) => error), await fill(1).catch((error) => error)]
  t.match(filled, [{ code: '54000' }, { code: '54000' }], 'full, indeed')

  await t.test('writes are refused with that reason and change nothing', async (t) => {
    for (const write of [client.set('a', 'refused'), client.set('new', 'refused'), client.delete('b')]) {
      const { status, headers, body } = await write
      t.equal(status, 503)
      t.match(body.detail, /cannot announce changes: its notification queue is full/)
      t.match(headers['retry-after'], /^\d+$/)
    }
    t.equal((await client.stats()).writes.pending, 0, 'nothing is kept to be sent later')
    t.equal(await client.value('a'), 'before')
    t.equal(await client.value('b'), 'before')
    t.equal((await client.get('new')).status, 404)
    const { rows } = await filler.query('select key, value from cache_entries order by key')
    t.strictSame(rows, [
      { key: 'a', value: 'before' },
      { key: 'b', value: 'before' },
    ])
  })

  await t.test('hits continue, since no change can go unannounced', async (t) => {
    const untilMs = performance.now() + 3_000
    await eventually(() => performance.now() > untilMs)
    t.match((await client.get('a')).body, { value: 'before', source: 'cache' })
    t.match((await client.stats()).feed, { state: 'live', losses: 0 })
  })

  await t.test(
    'once the blocker is gone, the queue is advanced, and service returns, for everybody',
    async (t) => {
      await blocker.query('commit')
      await eventually(() => filler.query("update cache_entries set value = 'after' where key = 'a'"))
      await eventually(async () => (await client.value('a')) === 'after')
      t.match((await client.set('a', 'again')).body, { ok: true, db_written: true })
      t.equal(await client.held('a'), 'again')
      t.match((await client.stats()).feed, { state: 'live', losses: 0 })
    },
  )
})
