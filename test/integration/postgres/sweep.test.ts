/** Rows that have expired: who removes them, in which steps, and who hears of it (P12). */
import pg from 'pg'
import t, { type Test } from 'tap'
import { Database } from '../../../src/postgres/pool/database.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { rowsPerSweep, type SweepRow, sweepStatement } from '../../../src/postgres/sweep/sweep-statement.js'
import { Sweeper, type SweeperOptions, type SweeperParts } from '../../../src/postgres/sweep/sweeper.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { recordingLog } from '../../support/recording-log.js'

const { url, query } = await cacheDatabase(t)
const clock = { now: () => performance.now() }

t.beforeEach(async () => {
  await query('truncate cache_entries, cache_sweeper')
})

function databaseOf(t: Test, from = url): Database {
  const database = new Database({ url: from, poolSize: 2, timeoutMs: 10_000, log: recordingLog().log })
  t.teardown(() => database.close())
  return database
}

function sweeperOf(t: Test, options: Partial<SweeperOptions> = {}, parts: Partial<SweeperParts> = {}) {
  const { log, logged } = recordingLog()
  const database = parts.database ?? databaseOf(t)
  const sweeper = new Sweeper(
    { intervalMs: 20, maxStalenessMs: 20, ...options },
    { database, schema: new SchemaName(database as Database), clock, log, mayRun: () => true, ...parts },
  )
  t.teardown(() => sweeper.close())
  sweeper.start()
  return { sweeper, logged }
}

/** Inserts rows that have expired so long ago. */
const insertExpired = (count: number, ago = '1 minute') =>
  query(
    `insert into cache_entries (key, value, expires_at)
     select 'expired ' || n, 'x', now() - $2::interval from generate_series(1, $1::int) as n`,
    [count, ago],
  )

async function keys(): Promise<string[]> {
  const { rows } = await query<{ key: string }>('select key from cache_entries order by key')
  return rows.map(({ key }) => key)
}

/** Collects the notifications of the table from now on. */
async function announcements(t: Test) {
  const listener = new pg.Client({ connectionString: url })
  await listener.connect()
  t.teardown(() => listener.end())
  const { rows } = await listener.query<{ channel: string }>(
    "select cache_channel('public', 'cache_entries') as channel",
  )
  await listener.query(`listen ${rows[0]?.channel}`)
  const heard: string[] = []
  listener.on('notification', ({ payload = '' }) => heard.push(payload))
  /** Returns everything that was committed before the call. */
  return async () => {
    await listener.query('select')
    return heard
  }
}

t.test('a sweep removes what has expired, and nothing else', async (t) => {
  await query(
    `insert into cache_entries (key, value, expires_at) values
       ('long ago', 'x', now() - interval '1 year'), ('always', 'x', '-infinity'), ('past', 'x', now() - interval '12 s'),
       ('just now', 'x', now() - interval '1 s'), ('later', 'x', now() + interval '1 hour'), ('never', 'x', null),
       ('infinity', 'x', 'infinity')`,
  )
  const { sweeper } = sweeperOf(t)
  await eventually(async () => sweeper.removedRows === 3)
  t.same(await keys(), ['infinity', 'just now', 'later', 'never'])
})

t.test('50,000 expired rows go in small batches, unannounced', async (t) => {
  await insertExpired(50_000)
  await query("insert into cache_entries (key, value) values ('live', 'x')")
  const heard = await announcements(t)
  const database = databaseOf(t)
  const batches: number[] = []
  let writes = 0
  let open = 0
  const { sweeper } = sweeperOf(
    t,
    {},
    {
      database: {
        read: database.read.bind(database),
        async write<Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> {
          const rows = await database.write<Row>(text, values)
          batches.push((rows[0] as unknown as SweepRow).removed)
          // Between two batches the sweep has no transaction, and so no locks.
          const { rowCount } = await query(
            `select from pg_stat_activity
               where datname = current_database() and application_name = 'caching-layer' and xact_start is not null`,
          )
          open += rowCount ?? 0
          return rows
        },
      },
    },
  )
  const writing = (async () => {
    while (sweeper.removedRows < 50_000) {
      await query("update cache_entries set value = $1 where key = 'live'", [String(writes++)])
    }
  })()
  await eventually(async () => sweeper.removedRows === 50_000)
  await writing
  t.same(await keys(), ['live'])
  t.ok(batches.length >= 50, `${batches.length} batches`)
  t.ok(Math.max(...batches) <= rowsPerSweep, 'each of them small')
  t.equal(open, 0, 'each of them in a transaction of its own')
  t.ok(writes > 1, `${writes} writes meanwhile`)
  const deletes = (await heard()).filter((payload) => payload === '*' || payload.includes('"-'))
  t.same(deletes, [], 'none of them is announced')
})

t.test('rows that are locked stay until the next sweep, and nobody waits', async (t) => {
  await insertExpired(2)
  const holder = new pg.Client({ connectionString: url })
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query('begin')
  await holder.query("select from cache_entries where key = 'expired 1' for update")
  const { sweeper } = sweeperOf(t)
  await eventually(async () => sweeper.removedRows === 1)
  t.same(await keys(), ['expired 1'])
  await holder.query('commit')
  await eventually(async () => sweeper.removedRows === 2)
})

t.test('one sidecar at a time sweeps; another takes over when it has stopped', async (t) => {
  const database = databaseOf(t)
  const sweep = async (name: string) => {
    await insertExpired(1)
    const at = Date.now() / 1_000 + 3_600
    const [row] = await database.write<SweepRow>(sweepStatement('public'), [
      name,
      at,
      Number.NEGATIVE_INFINITY,
    ])
    await query('delete from cache_entries')
    return row
  }
  t.match(await sweep('a'), { is_ours: true, removed: 1 })
  t.match(await sweep('b'), { is_ours: false, removed: 0 })
  t.match(await sweep('a'), { is_ours: true, removed: 1 })
  await query("update cache_sweeper set until = now() - interval '1 ms'")
  t.match(await sweep('b'), { is_ours: true, removed: 1 })
  t.match(await sweep('a'), { is_ours: false, removed: 0 })
  await query("update cache_sweeper set until = now() + interval '1 hour'")
  t.match(await sweep('a'), { is_ours: true, removed: 1 }, 'the clock was set back')
})

t.test('where nothing has expired, a sweep writes nothing', async (t) => {
  await query("insert into cache_entries (key, value) values ('k', 'x')")
  const database = databaseOf(t)
  const position = async () => (await query('select pg_current_xact_id_if_assigned() as id')).rows[0]
  await database.write(sweepStatement('public'), ['a', Date.now() / 1_000, Number.NEGATIVE_INFINITY])
  t.same(await position(), { id: null })
  t.same((await query('select * from cache_sweeper')).rows, [])
})

t.test('rows that are expired only by a clock that has just been put forward stay', async (t) => {
  await insertExpired(1, '1 minute')
  const database = databaseOf(t)
  const confirmed = Date.now() / 1_000 - 3_600
  const sweep = (seconds: number) =>
    database.write<SweepRow>(sweepStatement('public'), ['a', seconds, Number.NEGATIVE_INFINITY])
  t.match((await sweep(confirmed))[0], { removed: 0 })
  t.match((await sweep(Number.NEGATIVE_INFINITY))[0], { removed: 0 })
  t.match((await sweep(confirmed + 7_200))[0], { removed: 1 })
})

t.test('the statement finds expired rows by the index, and removes them by their place', async (t) => {
  await query(
    "insert into cache_entries (key, value) select 'live ' || n, 'x' from generate_series(1, 20000) as n",
  )
  await insertExpired(20_000)
  await query('analyze cache_entries')
  const session = new pg.Client({ connectionString: url })
  await session.connect()
  t.teardown(() => session.end())
  await session.query('set plan_cache_mode = force_generic_plan')
  await session.query(`prepare sweep (text, float8, float8) as ${sweepStatement('public')}`)
  const { rows } = await session.query<Record<string, string>>(
    "explain execute sweep ('a', 1e10, '-infinity')",
  )
  const plan = rows.map((row) => Object.values(row)[0]).join('\n')
  t.match(plan, /Index Scan using cache_entries_expiry/)
  t.match(plan, /Tid Scan on cache_entries/)
  t.notMatch(plan, /Seq Scan on cache_entries/)
})

t.test(
  'no sweeps while the sidecar is idle or the database is not live, and none with an interval of 0',
  async (t) => {
    await insertExpired(1)
    let asked = 0
    const sleeping = sweeperOf(t, {}, { mayRun: () => asked++ < 0 })
    const off = sweeperOf(t, { intervalMs: 0 })
    await eventually(async () => asked > 3)
    t.same(await keys(), ['expired 1'])
    t.equal(sleeping.sweeper.removedRows, 0)
    off.sweeper.reconfigure({ intervalMs: 20 })
    await eventually(async () => off.sweeper.removedRows === 1)
  },
)

t.test('a role that may not delete is told so in one line', async (t) => {
  await insertExpired(1)
  await query("create role reader login password 'x'")
  t.teardown(() => query('drop owned by reader; drop role reader'))
  await query('grant select, insert, update on cache_entries to reader')
  const database = databaseOf(t, Object.assign(new URL(url), { username: 'reader', password: 'x' }).href)
  let runs = 0
  const { sweeper, logged } = sweeperOf(t, {}, { database, mayRun: () => ++runs > 0 })
  await eventually(async () => runs > 3)
  t.match(logged, [{ fields: { reason: 'the role may not delete from cache_entries' } }])
  t.equal(logged.length, 1)
  await query(
    'grant delete on cache_entries to reader; grant select, insert, update on cache_sweeper to reader',
  )
  await eventually(async () => sweeper.removedRows === 1)
})

t.test('a database that is read-only at the moment is left alone, without a word', async (t) => {
  await insertExpired(1)
  const database = databaseOf(t, `${url}?options=-c%20default_transaction_read_only%3Don`)
  let runs = 0
  const { sweeper, logged } = sweeperOf(t, {}, { database, mayRun: () => ++runs > 0 })
  await eventually(async () => runs > 3)
  t.equal(sweeper.removedRows, 0)
  t.same(logged, [])
  t.equal(database.errorCounts.size, 0, 'no statement has failed')
})
