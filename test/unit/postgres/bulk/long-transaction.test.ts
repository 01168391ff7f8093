import { getEventListeners } from 'node:events'
import { mock } from 'node:test'
import type pg from 'pg'
import t, { type Test } from 'tap'
import {
  type LongTransactionOptions,
  longTransaction,
} from '../../../../src/postgres/bulk/long-transaction.js'
import { eventually } from '../../../support/eventually.js'
import { type Script, type ScriptedPostgres, scriptedPostgres } from '../../../support/scripted-postgres.js'
import { silentServer } from '../../../support/silent-server.js'
import { turn } from '../../../support/turn.js'

const schemaRows = (statement: string) => {
  if (/to_regclass/.test(statement)) return [{ entries: '7', schema: 'public' }]
  if (/nspname as name/.test(statement)) return [{ name: 'the cache' }]
  if (/pg_backend_pid/.test(statement)) return [{ pid: '42' }]
  return []
}

/** Runs a transaction on a server that answers as the script says, and otherwise as one with a schema `the cache`. */
async function transactionOf(
  t: Test,
  answer: Script['answer'],
  work: (client: pg.Client, entries: string, schema: string) => Promise<unknown>,
  options: Partial<LongTransactionOptions> = {},
) {
  const server = await scriptedPostgres(t, {
    answer: (statement) =>
      /^(commit|work|stall)/.test(statement) && answer ? answer(statement) : schemaRows(statement),
  })
  const { signal: stop } = new AbortController()
  const running = longTransaction(
    { url: server.url, name: 'a tool', isolation: 'read committed', stop, ...options },
    work,
  )
  return { server, running }
}

const haveEnded = ({ sockets }: ScriptedPostgres) => eventually(() => sockets.every(({ closed }) => closed))

t.test('a transaction is committed, and its connection ends', async (t) => {
  const { server, running } = await transactionOf(t, undefined, async (client, entries, schema) => {
    await client.query('work')
    return [entries, schema]
  })
  t.strictSame(await running, ['"the cache".cache_entries', 'the cache'])
  t.equal(server.statements[0], 'begin isolation level read committed')
  t.strictSame(server.statements.slice(-2), ['work', 'commit'])
  t.match(server.startups[0], 'application_name\0a tool\0')
  await haveEnded(server)
  t.equal(server.sockets.length, 1)
})

t.test('a failure to connect says so, with its cause', async (t) => {
  const running = longTransaction(
    {
      url: 'postgresql://nobody@127.0.0.1:1/nothing',
      name: 'a tool',
      isolation: 'read committed',
      stop: new AbortController().signal,
    },
    async () => t.fail('there is no connection'),
  )
  await t.rejects(running, {
    message: /^no connection to the database: connect ECONNREFUSED/,
    cause: { code: 'ECONNREFUSED' },
  })
})

t.test('the failure of a statement is thrown as it is, and the connection ends', async (t) => {
  const { signal: stop } = new AbortController()
  const { server, running } = await transactionOf(
    t,
    () => ({ code: '23505', message: 'refused' }),
    (client) => client.query('work'),
    { stop },
  )
  await t.rejects(running, { code: '23505', message: 'refused' })
  t.notOk(server.statements.includes('commit'))
  await haveEnded(server)
  t.equal(getEventListeners(stop, 'abort').length, 0, 'nothing is cancelled later')
})

t.test('a commit that the server refuses is thrown as it is', async (t) => {
  const { running } = await transactionOf(
    t,
    () => ({ code: '23505', message: 'refused' }),
    async () => {},
  )
  await t.rejects(running, { message: 'refused' })
})

t.test('a commit without an answer may have happened, and a stop does not hide that', async (t) => {
  const stop = new AbortController()
  const { server, running } = await transactionOf(
    t,
    () => undefined,
    async () => {},
    { stop: stop.signal },
  )
  await eventually(() => server.statements.includes('commit'))
  stop.abort()
  server.sockets[0]?.destroy()
  await t.rejects(running, {
    message: 'the connection was lost before the database confirmed the commit: run the command again',
    cause: { message: /terminated/ },
  })
  t.equal(server.sockets.length, 1, 'nothing is cancelled')
})

t.test('a transaction that is stopped cancels its statement, and leaves no connection', async (t) => {
  const stop = new AbortController()
  const { server, running } = await transactionOf(
    t,
    () => undefined,
    (client) => client.query('stall'),
    {
      stop: stop.signal,
    },
  )
  const rejected = t.rejects(running, { message: 'stopped; nothing was changed' })
  await eventually(() => server.statements.includes('stall'))
  stop.abort()
  await eventually(() => server.statements.includes('select pg_catalog.pg_cancel_backend($1)'))
  await rejected
  await haveEnded(server)
  t.equal(server.sockets.length, 2)
})

t.test('a transaction that is stopped after its work is not committed', async (t) => {
  const stop = new AbortController()
  const { server, running } = await transactionOf(t, undefined, async () => stop.abort(), {
    stop: stop.signal,
  })
  await t.rejects(running, { message: 'stopped; nothing was changed' })
  t.notOk(server.statements.includes('commit'))
  await haveEnded(server)
})

t.test('a transaction that is stopped before it begins sends nothing', async (t) => {
  const reason = new Error('a signal')
  const { server, running } = await transactionOf(t, undefined, async () => {}, {
    stop: AbortSignal.abort(reason),
  })
  await t.rejects(running, { message: 'stopped; nothing was changed', cause: reason })
  t.strictSame(server.statements, [])
})

t.test('a server that does not answer is given up after 3 s', async (t) => {
  const server = await silentServer(t)
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  let failure: unknown
  const running = longTransaction(
    { url: server.url, name: 'a tool', isolation: 'read committed', stop: new AbortController().signal },
    async () => undefined,
  ).catch((error: unknown) => {
    failure = error
  })
  await eventually(() => server.connections() === 1)
  mock.timers.tick(2_999)
  await turn()
  t.equal(failure, undefined)
  mock.timers.tick(1)
  await running
  t.match(failure, { message: /^no connection to the database: .*timeout/ })
})
