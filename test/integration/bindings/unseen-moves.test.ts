/** A trigger that is created after the binding, and changes keys in statements that do not name them. */
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { hold, inspectNow, isHit } from '../../support/held-answers.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const tables = `
  create table item (id int primary key, title text, slug text unique);
  insert into item values (1, 'one', 'one'), (2, 'two', 'two');
  create function set_slug() returns trigger language plpgsql as $$
    begin new.slug := lower(new.title); return new; end $$;
`
const slugTrigger = 'create trigger slug before update on item for each row execute function set_slug()'
const bindings = {
  'a table': "select cache_bind('item', 'slug:{slug}')",
  'a query': `
    select cache_bind_query('slug:{slug}', query => 'select id from item where slug = $1',
      depends => '{"public.item": "{slug}"}')`,
  'a mapping': `
    select cache_bind_query('slug:{slug}', query => 'select id from item where slug = $1',
      depends => '{"public.item": "select {slug}"}')`,
}

async function setting(t: Test, bind: string) {
  const { query, url } = await cacheDatabase(t)
  await query(tables + bind)
  // Nothing expires, so what is not announced is noticed by the limit only.
  const { client, log } = await startLiveSidecar(t, { databaseUrl: url, migrate: false, ttlSeconds: 0 })
  return {
    query,
    client,
    log,
    /** Waits until answers of the key are held with a limit, or without one. */
    untilLimited: (key: string, isLimited: boolean) =>
      eventually(async () => {
        const answer = await client.get(key)
        return isHit(answer) && /; ttl=[01]$/.test(String(answer.headers['cache-status'])) === isLimited
      }),
    status: async (key: string) => (await client.get(key)).status,
  }
}

for (const [what, bind] of Object.entries(bindings))
  t.test(`${what}: answers are held for a short time until the table is bound again`, async (t) => {
    const { query, client, log, untilLimited, status } = await setting(t, bind)
    await hold(client, 'slug:one')
    await hold(client, 'slug:none')
    await untilLimited('slug:one', false)

    await t.test('what was held before the trigger was noticed is dropped', async () => {
      await hold(client, 'slug:one')
      await query(`begin; ${slugTrigger}; update item set title = 'First' where id = 1; commit`)
      await eventually(async () => (await status('slug:one')) === 404)
    })

    await t.test('a key that the trigger changes is gone when the limit is over', async (t) => {
      await untilLimited('slug:first', true)
      await untilLimited('slug:one', true)
      await query("update item set title = 'Second' where id = 1")
      await eventually(async () => (await status('slug:first')) === 404)
      await eventually(async () => (await status('slug:second')) === 200)
      t.equal(await status('slug:two'), 200, 'keys stay available')
    })

    await t.test('the log names the cure once', async (t) => {
      const lines = log.filter((line) => line.includes('changes of keys of a binding may not be announced'))
      t.equal(lines.length, 1)
      t.match(JSON.parse(lines[0] ?? ''), {
        level: 40,
        pattern: 'slug:{slug}',
        reason: /^public\.item got a BEFORE UPDATE trigger after being bound/,
        cure: /^run as the owner: select cache_bind/,
      })
    })

    await t.test('when it is bound again, nothing has a limit, and the trigger is announced', async () => {
      await query(bind)
      await untilLimited('slug:second', false)
      await hold(client, 'slug:third')
      await query("update item set title = 'Third' where id = 1")
      await eventually(async () => (await status('slug:second')) === 404)
      await eventually(async () => (await status('slug:third')) === 200)
    })
  })

t.test('a trigger is noticed while it is disabled, and the limit ends with it', async (t) => {
  const { query, untilLimited } = await setting(t, bindings['a table'])
  await query(`${slugTrigger}; alter table item disable trigger slug`)
  await untilLimited('slug:one', true)
  await query(`drop trigger slug on item; ${inspectNow}`)
  await untilLimited('slug:one', false)
})

for (const [what, sql, bind] of [
  [
    'a trigger that changes no row',
    `create trigger note after update on item for each row execute function set_slug();
     create trigger statement before update on item for each statement execute function set_slug();
     create trigger deleted before insert or delete on item for each row execute function set_slug()`,
    bindings['a table'],
  ],
  [
    'rows as they were are read anyway',
    slugTrigger,
    "select cache_bind('item', 'slug:{slug}', announce => 'notify')",
  ],
] as const)
  t.test(`no limit: ${what}`, async (t) => {
    const { query, client, untilLimited } = await setting(t, bind)
    await hold(client, 'slug:one')
    await query(`${sql}; ${inspectNow}; alter table item add column n int default 7`)
    await eventually(async () => ((await client.value('slug:one')) as { n?: number }).n === 7)
    await untilLimited('slug:one', false)
  })

t.test('no limit: row triggers of a partitioned table announce both keys', async (t) => {
  const { query, client, untilLimited, status } = await setting(
    t,
    `alter table item rename to former;
     create table item (id int primary key, title text, slug text) partition by range (id);
     create table item_0 partition of item for values from (0) to (10);
     insert into item values (1, 'one', 'one');
     create function move() returns trigger language plpgsql as $$ begin new.id := new.id + 1; return new; end $$;
     select cache_bind('item', 'item:{id}')`,
  )
  await hold(client, 'item:1')
  await query('create trigger move before update on item for each row execute function move()')
  await query("update item set title = 'new'")
  await eventually(async () => (await status('item:1')) === 404)
  await query(inspectNow)
  await untilLimited('item:2', false)
})
