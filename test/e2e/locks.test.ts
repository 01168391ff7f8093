import pg from 'pg'
import t from 'tap'
import { freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { startLiveSidecar } from '../support/sidecar.js'

/** Upper bound in ms for any response: the timeouts of a connection and of a statement, and a wide margin. */
const boundMs = 8_000

for (const [name, lock] of [
  ['the whole table locked', 'lock table cache_entries in access exclusive mode'],
  ['every row locked', 'update cache_entries set updated_at = now()'],
] as const) {
  t.test(`${name}: no request hangs`, async (t) => {
    const { url, query } = await freshDatabase(t)
    const { client } = await startLiveSidecar(t, { databaseUrl: url, databaseTimeoutMs: 1_000 })
    const keys = Array.from({ length: 128 }, (_, number) => `key ${number}`)
    await Promise.all(keys.map((key) => client.set(key, 1)))

    const holder = new pg.Client({ connectionString: url })
    holder.on('error', () => {})
    await holder.connect()
    t.teardown(() => holder.end())
    await holder.query(`begin; ${lock}`)
    const startedMs = performance.now()
    let answered = 0
    const answers = keys.flatMap((key) => [client.set(key, 2), client.get(key), client.delete(`no ${key}`)])
    const statuses = Promise.all(
      answers.map(async (answer) => {
        const { status } = await answer
        answered++
        return status
      }),
    )
    statuses.catch(() => {})
    await eventually(() => answered === answers.length, { withinMs: boundMs }).catch(() => {})
    t.equal(
      answered,
      answers.length,
      `all are answered after ${Math.round(performance.now() - startedMs)} ms`,
    )
    await holder.query('rollback')
    const odd = (await statuses).filter((status) => ![200, 404, 503].includes(status))
    t.same(odd, [])

    t.match((await client.set('key 0', 3)).body, { ok: true, db_written: true }, 'and then it goes on')
    const { rows } = await query("select value from cache_entries where key = 'key 0'")
    t.strictSame(rows, [{ value: '3' }])
  })
}

t.test('one locked row fails its own write alone', async (t) => {
  const { url } = await freshDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, databaseTimeoutMs: 1_000 })
  await client.set('locked', 1)
  const holder = new pg.Client({ connectionString: url })
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query("begin; update cache_entries set value = '' where key = 'locked'")
  const keys = ['a', 'b', 'c', 'locked', 'x', 'y', 'z']
  const answers = await Promise.all(keys.map((key) => client.set(key, 2)))
  t.strictSame(
    answers.map(({ status }) => status),
    keys.map((key) => (key === 'locked' ? 503 : 200)),
  )
  t.match(answers[3]?.headers['retry-after'], /^\d+$/)
  await holder.query('rollback')
})

t.test('a row that another session already waits for fails its own write alone', async (t) => {
  const { url, query } = await freshDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, databaseTimeoutMs: 1_000 })
  await client.set('locked', 1)
  const clients = [
    new pg.Client({ connectionString: url }),
    new pg.Client({ connectionString: url }),
  ] as const
  const [holder, waiter] = clients
  for (const one of clients) {
    await one.connect()
    t.teardown(() => one.end())
  }
  await holder.query("begin; select from cache_entries where key = 'locked' for update")
  const waiting = waiter.query("update cache_entries set value = '' where key = 'locked'")
  await eventually(async () => {
    const { rows } = await query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    )
    return rows.length > 0
  })
  const keys = ['a', 'b', 'c', 'locked', 'x', 'y', 'z']
  const statuses = async (answers: Promise<{ readonly status: number }>[]) =>
    (await Promise.all(answers)).map(({ status }) => status)
  const expected = keys.map((key) => (key === 'locked' ? 503 : 200))
  t.strictSame(await statuses(keys.map((key) => client.set(key, 2))), expected)
  t.strictSame(await statuses(keys.map((key) => client.delete(key))), expected)
  await holder.query('rollback')
  await waiting
})

t.test('with several locked rows, the others are written', async (t) => {
  const { url, query } = await freshDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, databaseTimeoutMs: 5_000 })
  const keys = Array.from({ length: 100 }, (_, number) => `key ${number}`)
  await Promise.all(keys.map((key) => client.set(key, 1)))
  const holder = new pg.Client({ connectionString: url })
  await holder.connect()
  t.teardown(() => holder.end())
  const locked = keys.filter((_, number) => number % 20 === 7)
  await holder.query('begin')
  await holder.query('select from cache_entries where key = any($1) for update', [locked])
  const answers = new Map(keys.map((key) => [key, client.set(key, 2)]))
  for (const key of keys.filter((key) => !locked.includes(key)))
    t.match((await answers.get(key))?.body, { db_written: true })
  const { rows } = await query('select from cache_entries where value = $1', ['2'])
  t.equal(rows.length, keys.length - locked.length)
  await holder.query('rollback')
  for (const key of locked) t.match((await answers.get(key))?.body, { db_written: true }, key)
})
