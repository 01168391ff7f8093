import pg from 'pg'
import t, { type Test } from 'tap'
import { ownServer } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { startLiveSidecar } from '../support/sidecar.js'

async function clientOf(t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return client
}

t.test('the notification queue is full', async (t) => {
  const server = await ownServer(t, { max_notify_queue_pages: '64' })
  const { client, log } = await startLiveSidecar(t, { databaseUrl: server.url(), maxStalenessMs: 1_000 })
  for (const key of ['a', 'b']) await client.set(key, 'before')
  for (const key of ['a', 'b']) await client.held(key)

  // Its position in the queue, which is everybody's tail, cannot move while its transaction is open.
  const blocker = await clientOf(t, server.url())
  await blocker.query('begin; listen something')
  await blocker.query('commit')
  await blocker.query('begin')
  const filler = await clientOf(t, server.url())
  const filled: unknown = await (async () => {
    for (;;)
      await filler.query("select pg_notify('nobody', repeat('x', 7000) || n) from generate_series(1, 10) n")
  })().catch((error: unknown) => error)
  for (;;) {
    const small = await filler.query("select pg_notify('nobody', 'x')").catch(() => undefined)
    if (small === undefined) break
  }
  t.match(filled, { code: '54000' }, 'full, indeed')

  await t.test('writes say so, and change nothing', async (t) => {
    for (const write of [client.set('a', 'refused'), client.set('new', 'refused'), client.delete('b')]) {
      const { status, headers, body } = await write
      t.equal(status, 503)
      t.match(body.detail, /cannot announce changes: its notification queue is full/)
      t.match(headers['retry-after'], /^\d+$/)
    }
    t.equal((await client.stats()).writes.kept, 0, 'nothing is kept to be sent later')
    t.equal(await client.value('a'), 'before')
    t.equal(await client.value('b'), 'before')
    t.equal((await client.get('new')).status, 404)
    const { rows } = await filler.query('select key, value from cache_entries order by key')
    t.strictSame(rows, [
      { key: 'a', value: 'before' },
      { key: 'b', value: 'before' },
    ])
  })

  await t.test('nothing can change unheard, so hits go on', async (t) => {
    const untilMs = performance.now() + 3_000
    await eventually(() => performance.now() > untilMs)
    t.match((await client.get('a')).body, { value: 'before', source: 'cache' })
    t.match((await client.stats()).feed, { state: 'live', losses: 0 })
  })

  await t.test('once the blocker is gone, the queue is advanced, and service returns', async (t) => {
    await blocker.query('commit')
    t.equal(
      (await filler.query("select pg_notify('nobody', 'x')").catch(() => ({ rows: [] }))).rows.length,
      0,
      'not by itself',
    )
    await eventually(async () => (await client.set('a', 'after')).status === 200)
    t.equal(await client.held('a'), 'after')
    await filler.query("update cache_entries set value = 'again' where key = 'a'")
    await eventually(async () => (await client.value('a')) === 'again')
  })
  t.comment(log.filter((line) => line.includes('queue')).length)
})
