import t from 'tap'
import { DrainSession } from '../../../src/postgres/outbox/drain-session.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { HeldDrain } from './held-drain.js'

t.test('other drains wait for a held one', async (t) => {
  const database = await cacheDatabase(t)
  await database.query(`
    create table item (id int primary key, v text);
    insert into item values (1, 'old'), (2, 'old');
    select cache_bind('item', key => 'item:{id}')`)
  const options = { url: database.url, table: { schema: 'public', channel: 'held_drain_test' }, limitMs: 0 }
  const session = await DrainSession.open(options, { now: () => performance.now() })
  t.teardown(() => session.destroy())

  for (const how of ['rollback', 'commit'] as const) {
    await database.query('update item set v = $1', [how])
    const held = await HeldDrain.begin(database.url, ['item:1', 'item:2'])
    t.ok(held)
    t.strictSame(await held?.waiting(), [], 'nobody waits yet')
    const draining = session.drain()
    await eventually(async () => (await held?.waiting())?.length === 1)
    await held?.end(how)
    t.match(await draining, { rows: how === 'rollback' ? 2 : 0 })
  }

  await database.query("update item set v = 'new' where id = 1")
  t.equal(await HeldDrain.begin(database.url, ['item:1', 'item:2']), undefined, 'one row is missing')
  t.match(await session.drain(), { rows: 1 }, 'the other one is still there')
})
