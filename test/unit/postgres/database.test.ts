import t, { type Test } from 'tap'
import { Database, type DatabaseOptions } from '../../../src/postgres/pool/database.js'
import { eventually } from '../../support/eventually.js'
import { recordingLog } from '../../support/recording-log.js'
import { type Script, type ScriptedPostgres, scriptedPostgres } from '../../support/scripted-postgres.js'

/** A database whose server answers as the script says. */
async function databaseOf(
  t: Test,
  answer?: (statement: string, server: ScriptedPostgres) => ReturnType<NonNullable<Script['answer']>>,
  options: Partial<DatabaseOptions> = {},
) {
  const server: ScriptedPostgres = await scriptedPostgres(t, {
    answer: (statement) => (answer ? answer(statement, server) : [{ text: statement }]),
  })
  const { log, logged } = recordingLog()
  const database = new Database({ url: server.url, poolSize: 2, timeoutMs: 60_000, log, ...options })
  t.teardown(() => database.close())
  return { database, server, logged }
}
const cut = (server: ScriptedPostgres) => {
  server.sockets.at(-1)?.destroy()
  return undefined
}

t.test('a ping opens a connection of its own, and closes it, whatever the answer is', async (t) => {
  for (const isRefused of [false, true]) {
    const { database, server } = await databaseOf(t, () =>
      isRefused ? { code: '57014', message: 'no' } : [],
    )
    const ping = database.ping()
    await (isRefused ? t.rejects(ping, { message: 'no' }) : ping)
    t.strictSame(server.statements, ['select'])
    t.match(server.startups[0], 'application_name\0caching-layer ping\0')
    await eventually(() => server.sockets[0]?.closed)
    t.match(database.use(), { busy: 0, idle: 0 }, 'it is none of the pool')
  }
})

t.test('a statement that is not prepared any more is sent again without a name', async (t) => {
  let count = 0
  const { database, server, logged } = await databaseOf(t, () =>
    ++count === 1 ? { code: '26000', message: 'no such statement' } : [{ number: '1' }],
  )
  t.strictSame(await database.write('insert', []), [{ number: '1' }])
  t.strictSame(server.statements, ['insert', 'insert'])
  t.strictSame([database.errorCounts.size, logged], [0, []])
})

t.test('a read is sent once more if its connection was lost, and a write is not', async (t) => {
  let count = 0
  const { database, server } = await databaseOf(t, (_statement, server) => (++count % 2 ? cut(server) : []))
  await database.read('select 1')
  t.strictSame(server.statements, ['select 1', 'select 1'])
  await t.rejects(database.write('insert', []), { code: 'outcome-unknown' })
  t.equal(server.statements.length, 3)
  count = -100
  const lost = await databaseOf(t, (_statement, server) => cut(server))
  await t.rejects(lost.database.read('select 1'), { code: 'store-unavailable' })
  t.equal(lost.server.statements.length, 2)
})

t.test('an error of the statement keeps the connection, and is counted and logged', async (t) => {
  const { database, server, logged } = await databaseOf(t, () => ({ code: '42P01', message: 'no table' }))
  await t.rejects(database.read('select 1'), { code: 'store-failed', message: 'no table (SQLSTATE 42P01)' })
  t.match(database.use(), { busy: 0, idle: 1 })
  t.strictSame([...database.errorCounts], [['store-failed', 1]])
  t.match(logged, [{ fields: { sqlState: '42P01' }, message: 'database error' }])
  t.equal(server.statements.length, 1)
})

t.test('a connection that cannot be made is counted', async (t) => {
  const { database, logged } = await databaseOf(t, undefined, {})
  const server = await scriptedPostgres(t, { refuse: () => 'no' })
  const refused = await databaseOf(t, undefined, { url: server.url })
  await t.rejects(refused.database.read('select 1'), { message: 'no connection to the database: no' })
  t.equal([...refused.database.errorCounts.values()].length, 1)
  await database.read('select 1')
  t.strictSame([database.errorCounts.size, logged], [0, []])
})

t.test('if the queue of notifications is full, its tail is moved', async (t) => {
  for (const send of [
    (database: Database) => database.write('insert', []),
    (database: Database) => database.write('insert', [], 100),
  ]) {
    const { database, server } = await databaseOf(t, (statement) =>
      statement === 'insert' ? { code: '54000', message: 'too many', file: 'async.c' } : [],
    )
    await t.rejects(send(database), { code: 'queue-full' })
    await eventually(() => server.statements.includes('select pg_notification_queue_usage()'))
  }
})

const limits = "begin; set local idle_in_transaction_session_timeout = '5s'; set local array_nulls = on;"

t.test('a statement with a time limit has a transaction of its own', async (t) => {
  const { database, server } = await databaseOf(t)
  t.strictSame(await database.read('select 1', [], 123), [{ text: 'select 1' }])
  t.strictSame(server.statements, [
    `${limits} set transaction isolation level read committed; set local statement_timeout = 123`,
    'select 1',
    'commit',
  ])
})

t.test('a decision is committed only if its rows are as they must be', async (t) => {
  const { database, server } = await databaseOf(t)
  for (const [isMet, end] of [
    [true, 'commit'],
    [false, 'rollback'],
  ] as const) {
    t.strictSame(await database.decide('update', [], () => isMet, 123), [{ text: 'update' }])
    t.equal(server.statements.at(-1), end)
  }
  t.equal(
    server.statements[0],
    `${limits} set transaction isolation level read committed; set local statement_timeout = 123; ` +
      'set local lock_timeout = 123; set constraints all immediate',
  )
  t.match(database.use(), { busy: 0, idle: 1 })
})

t.test('a loss while it commits leaves the outcome unknown, one before that does not', async (t) => {
  for (const [at, code] of [
    ['commit', 'outcome-unknown'],
    ['update', 'store-unavailable'],
  ]) {
    const { database } = await databaseOf(t, (statement, server) => (statement === at ? cut(server) : []))
    await t.rejects(
      database.decide('update', [], () => true, 123),
      { code },
    )
    t.match(database.use(), { busy: 0, idle: 0 })
  }
})

t.test(
  'a transaction that the server refuses is rolled back, keeps its connection, and is counted',
  async (t) => {
    const { database, server } = await databaseOf(t, (statement) =>
      statement === 'update' ? { code: '23505', message: 'twice' } : [],
    )
    await t.rejects(
      database.decide('update', [], () => true, 123),
      { code: 'refused' },
    )
    t.equal(server.statements.at(-1), 'rollback')
    t.match(database.use(), { busy: 0, idle: 1 })
    t.strictSame([...database.errorCounts], [['refused', 1]])
  },
)

t.test('a statement whose plan is outdated is sent again on another connection', async (t) => {
  let count = 0
  const { database, server } = await databaseOf(t, () =>
    ++count === 1 ? { code: '0A000', message: 'cached plan must not change result type' } : [],
  )
  await database.write('insert', [])
  t.equal(server.sockets.length, 2)
  t.match(database.use(), { busy: 0, idle: 1 })
})

t.test('the id and the epoch of a transaction are told before its statement', async (t) => {
  const told: unknown[] = []
  const { database, server } = await databaseOf(t, (statement) => {
    if (statement === 'write') told.push('written')
    return statement === 'select id' ? [{ id: '7', epoch: 'e' }] : []
  })
  const onId = (...id: unknown[]) => told.push(id)
  await database.transaction({ transactionId: 'select id', statement: 'write', onId }, [])
  t.strictSame(told, [['7', 'e'], 'written'])
  t.strictSame(server.statements, [`${limits} select id`, 'write', 'commit'])
})

t.test('a snapshot is one transaction that only reads, and ends with the work', async (t) => {
  const { database, server } = await databaseOf(t, (statement) =>
    statement === 'fails' ? { code: '42P01', message: 'no table' } : [{ text: statement }],
  )
  t.strictSame(await database.snapshot((read) => read('select 1', []), 123), [{ text: 'select 1' }])
  const begun = `${limits}  set transaction isolation level repeatable read, read only; `
  t.strictSame(server.statements, [`${begun}set local statement_timeout = 123`, 'select 1', 'commit'])
  await t.rejects(
    database.snapshot((read) => read('fails', [])),
    { code: 'store-failed' },
  )
  t.strictSame(server.statements.slice(3), [begun, 'fails', 'rollback'])
  t.match(database.use(), { busy: 0, idle: 1 })
  t.strictSame([...database.errorCounts], [['store-failed', 1]])
})

t.test('each statement of a request is traced, with its text', async (t) => {
  const traced: string[] = []
  const tracer = {
    statement: <T>(text: string, run: () => Promise<T>) => {
      traced.push(text)
      return run()
    },
  }
  const { database } = await databaseOf(t, undefined, { tracer })
  await database.read('select 1')
  await database.write('insert', [], 123)
  t.strictSame(traced, ['select 1', 'insert'])
})
