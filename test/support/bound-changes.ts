/** Every way in which rows of bound tables change: a sidecar that holds them drops them. */

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import t, { type Test } from 'tap'
import { cacheDatabase, freshDatabase } from './database.js'
import { eventually } from './eventually.js'
import { isHit, untilApplied } from './held-answers.js'
import { startLiveSidecar } from './sidecar.js'

/** Defines the tests for tables whose changes are announced in this way. */
export async function testBoundChanges(announce: 'outbox' | 'notify'): Promise<void> {
  const database = await cacheDatabase(t)
  const { query } = database
  await query(`
  create table item (id int primary key, v text);
  create table owned (id int primary key, item int references item on update cascade on delete cascade, v text);
  create table measure (id bigint, region text, v text, primary key (id, region)) partition by list (region);
  create table measure_eu partition of measure for values in ('eu') partition by range (id);
  create table measure_eu_1 partition of measure_eu for values from (0) to (1000);
  create table measure_us partition of measure for values in ('us');
  select cache_bind('item', key => 'item:{id}', announce => '${announce}');
  select cache_bind('owned', key => 'owned:{id}', announce => '${announce}');
  select cache_bind('measure', key => 'measure:{region}:{id}', announce => '${announce}');
`)
  // Nothing expires, so what is not announced is never noticed.
  const { client } = await startLiveSidecar(t, { databaseUrl: database.url, ttlSeconds: 0 })

  /** Reads until the answer is served from memory as fresh: a row, or that there is none. */
  async function hold(key: string): Promise<unknown> {
    let held: unknown
    await eventually(async () => {
      const answer = await client.get(key)
      held = answer.status === 404 ? undefined : (answer.body.value as { v: unknown }).v
      return isHit(answer)
    })
    return held
  }

  const readV = async (key: string) => ((await client.value(key)) as { v: unknown } | undefined)?.v
  const follows = (key: string, v: unknown) => eventually(async () => (await readV(key)) === v)

  /**
   * Holds keys, whose rows have these values before the statement, runs it, and waits until the sidecar answers with the
   * values afterwards.
   */
  async function changes(
    t: Test,
    statement: string | (() => Promise<unknown>),
    expected: Readonly<Record<string, readonly [before: unknown, after: unknown]>>,
  ): Promise<void> {
    await untilApplied(database, client)
    for (const [key, [before]] of Object.entries(expected)) t.equal(await hold(key), before, `${key} before`)
    await (typeof statement === 'string' ? query(statement) : statement())
    for (const [key, [, after]] of Object.entries(expected)) await follows(key, after)
    t.pass(typeof statement === 'string' ? statement : 'followed')
  }

  t.beforeEach(async () => {
    await query(`
    set session_replication_role = default;
    truncate item cascade;
    truncate measure;
    insert into item select n, 'old' from generate_series(1, 9) n;
    insert into owned values (1, 1, 'old'), (2, 2, 'old');
    insert into measure values (1, 'eu', 'old'), (2, 'us', 'old');
  `)
  })

  t.test('INSERT, UPDATE and DELETE', async (t) => {
    await changes(t, "insert into item values (10, 'new'), (11, 'new')", { 'item:10': [undefined, 'new'] })
    await changes(t, "update item set v = 'new' where id in (1, 2)", {
      'item:1': ['old', 'new'],
      'item:2': ['old', 'new'],
    })
    await changes(t, 'delete from item where id = 3', { 'item:3': ['old', undefined] })
  })

  t.test('an UPDATE of the key', async (t) => {
    await changes(t, 'update item set id = id + 100 where id in (4, 5)', {
      'item:4': ['old', undefined],
      'item:104': [undefined, 'old'],
      'item:105': [undefined, 'old'],
    })
    await changes(
      t,
      "with a as (update item set id = 106 where id = 6) update item set v = 'new' where id = 7",
      {
        'item:6': ['old', undefined],
        'item:106': [undefined, 'old'],
        'item:7': ['old', 'new'],
      },
    )
  })

  t.test('INSERT ... ON CONFLICT and MERGE', async (t) => {
    await changes(
      t,
      "insert into item values (1, 'new'), (12, 'new') on conflict (id) do update set v = excluded.v",
      {
        'item:1': ['old', 'new'],
        'item:12': [undefined, 'new'],
      },
    )
    const { rows } = await query<{ number: number }>(
      "select current_setting('server_version_num')::int as number",
    )
    if ((rows[0]?.number ?? 0) < 150_000) return
    await changes(
      t,
      `merge into item using (values (2), (3), (13)) as given (id) on item.id = given.id
     when matched and item.id = 2 then delete when matched then update set v = 'new'
     when not matched then insert values (given.id, 'new')`,
      { 'item:2': ['old', undefined], 'item:3': ['old', 'new'], 'item:13': [undefined, 'new'] },
    )
  })

  t.test('COPY, and COPY with FREEZE', async (t) => {
    const session = new pg.Client({ connectionString: database.url })
    await session.connect()
    t.teardown(() => session.end())
    const copy = (options: string) =>
      pipeline(
        Readable.from(['20\tnew\n', '21\tnew\n']),
        session.query(copyFrom(`copy item from stdin ${options}`)),
      )
    await changes(t, () => copy(''), { 'item:20': [undefined, 'new'], 'item:21': [undefined, 'new'] })
    await changes(
      t,
      async () => {
        await session.query('begin; truncate item cascade')
        await copy('with (freeze)')
        await session.query('commit')
      },
      { 'item:1': ['old', undefined], 'item:20': ['new', 'new'] },
    )
  })

  t.test('TRUNCATE, also by CASCADE', async (t) => {
    await changes(t, 'truncate owned', { 'owned:1': ['old', undefined] })
    await query("insert into owned values (3, 3, 'old')")
    await changes(t, 'truncate item cascade', { 'item:1': ['old', undefined], 'owned:3': ['old', undefined] })
  })

  t.test('cascades of foreign keys', async (t) => {
    await changes(t, 'delete from item where id = 1', {
      'item:1': ['old', undefined],
      'owned:1': ['old', undefined],
    })
    const reference = async () => (await client.value('owned:2')) as { item: number }
    await hold('owned:2')
    await query('update item set id = 200 where id = 2')
    await eventually(async () => (await reference()).item === 200)
  })

  t.test('statements that change more rows than are named', async (t) => {
    await query("insert into item select n, 'old' from generate_series(1000, 12000) n")
    await changes(t, "update item set v = 'new'", { 'item:1': ['old', 'new'], 'item:1000': ['old', 'new'] })
    await changes(t, 'update item set id = -id', {
      'item:1': ['new', undefined],
      'item:1000': ['new', undefined],
      'item:-1': [undefined, 'new'],
    })
    await query('update item set id = -id')
    await changes(t, 'delete from item where id >= 1000', {
      'item:1000': ['new', undefined],
      'item:1': ['new', 'new'],
    })
  })

  t.test('sessions in the replica role', async (t) => {
    const replica = (sql: string) =>
      `set session_replication_role = replica; ${sql}; reset session_replication_role`
    await changes(t, replica("update item set v = 'new' where id = 1"), { 'item:1': ['old', 'new'] })
    await changes(t, replica('delete from item where id = 2'), { 'item:2': ['old', undefined] })
    await changes(t, replica("update measure set v = 'new'"), { 'measure:eu:1': ['old', 'new'] })
    await changes(t, replica('truncate owned'), { 'owned:1': ['old', undefined] })
  })

  t.test('savepoints, rollbacks and long transactions', async (t) => {
    await changes(
      t,
      `begin; update item set v = 'new' where id = 1; savepoint s; update item set v = 'lost' where id in (1, 2);
     rollback to s; delete from item where id = 3; commit`,
      { 'item:1': ['old', 'new'], 'item:2': ['old', 'old'], 'item:3': ['old', undefined] },
    )
    await changes(t, "begin; update item set v = 'lost' where id = 4; rollback", { 'item:4': ['old', 'old'] })
    await query(
      "do $$ begin update item set v = 'new' where id = 5; perform 1/0; exception when others then null; end $$",
    )
    t.equal(await readV('item:5'), 'old')
  })

  t.test(
    'partitioned tables: statements on the parent and on a partition, and moves between them',
    async (t) => {
      await changes(t, "update measure set v = 'new' where id = 1", { 'measure:eu:1': ['old', 'new'] })
      await changes(t, "update measure_eu_1 set v = 'newer'", { 'measure:eu:1': ['new', 'newer'] })
      await changes(t, "insert into measure_us values (3, 'us', 'new')", {
        'measure:us:3': [undefined, 'new'],
      })
      await changes(t, "update measure set region = 'us' where id = 1", {
        'measure:eu:1': ['newer', undefined],
        'measure:us:1': [undefined, 'newer'],
      })
      await changes(t, 'truncate measure', { 'measure:us:2': ['old', undefined] })
    },
  )

  t.test('partitions that are created or attached later', async (t) => {
    await query(`
    create table measure_eu_2 partition of measure_eu for values from (1000) to (2000);
    create table later (id bigint, region text, v text, primary key (id, region));
    insert into later values (1, 'asia', 'old');
    alter table measure attach partition later for values in ('asia');
  `)
    t.teardown(() => query('drop table measure_eu_2, later'))
    await changes(t, "insert into measure values (1500, 'eu', 'new')", {
      'measure:eu:1500': [undefined, 'new'],
    })
    await changes(t, "update later set v = 'new'", { 'measure:asia:1': ['old', 'new'] })
  })

  t.test('rows applied by logical replication', async (t) => {
    const publisher = await freshDatabase(t)
    await publisher.query(`
    create table item (id int primary key, v text);
    create table measure (id bigint, region text, v text, primary key (id, region));
    insert into item values (50, 'old');
    create publication everything for table item, measure
  `)
    await publisher.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [database.name])
    const { hostname, port, username, password } = new URL(publisher.url)
    const parts = { host: hostname, port, user: username, password, dbname: publisher.name }
    const connection = Object.entries(parts)
      .filter(([, value]) => value !== '')
      .map(([key, value]) => `${key}=${decodeURIComponent(value)}`)
      .join(' ')
    await query(
      `create subscription everything connection ${pg.escapeLiteral(connection)} publication everything
     with (create_slot = false, slot_name = '${database.name}')`,
    )
    t.teardown(async () => {
      await query('alter subscription everything disable')
      await query('alter subscription everything set (slot_name = none)')
      await query('drop subscription everything')
      await eventually(() => publisher.query('select pg_drop_replication_slot($1)', [database.name]))
    })
    await follows('item:50', 'old')
    const applied = (sql: string) => () => publisher.query(sql)
    await changes(t, applied("update item set v = 'new'"), { 'item:50': ['old', 'new'] })
    await changes(t, applied('update item set id = 51'), {
      'item:50': ['new', undefined],
      'item:51': [undefined, 'new'],
    })
    await changes(t, applied("insert into measure values (9, 'us', 'new')"), {
      'measure:us:9': [undefined, 'new'],
    })
    await changes(t, applied('delete from measure'), { 'measure:us:9': ['new', undefined] })
    await changes(t, applied('truncate measure'), { 'measure:us:2': ['old', undefined] })
  })

  t.test(
    'invalidation by key, group, prefix and of everything makes the next read ask the table',
    async (t) => {
      await hold('item:1')
      await query(
        `select cache_bind('item', key => 'item:{id}', in_group => 'items', announce => '${announce}')`,
      )
      await eventually(async () => (await client.get('item:1')).body.source === 'db')
      const asks = async (invalidate: () => Promise<unknown>, key = 'item:1') => {
        await hold(key)
        await invalidate()
        await eventually(async () => (await client.get(key)).body.source === 'db')
        t.pass(String(invalidate))
      }
      await asks(() => query("select cache_invalidate('item:1')"))
      await asks(() => query("select cache_invalidate_group('items')"))
      await asks(() => query("select cache_invalidate_prefix('item:1')"))
      await asks(() => query("select cache_invalidate_prefix('it')"))
      await asks(() => query('select cache_invalidate_all()'))
      const post = (body: object) => client.request('POST', '/v1/invalidate', { body })
      await asks(() => post({ keys: ['item:1'] }))
      await asks(() => post({ groups: ['items'] }))
      await asks(() => post({ prefix: 'item:' }))
      await asks(() => post({ all: true }), 'measure:eu:1')
      await hold('measure:eu:1')
      await query("begin; select cache_invalidate_group('items'); rollback")
      await query("select cache_invalidate_group('others'); select cache_invalidate_prefix('measure:eu:x:')")
      t.match((await client.get('measure:eu:1')).body.source, 'cache')
    },
  )
}
