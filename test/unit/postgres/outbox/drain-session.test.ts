import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { DrainSession } from '../../../../src/postgres/outbox/drain-session.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { type ScriptedAnswer, scriptedPostgres } from '../../../support/scripted-postgres.js'

const table = { schema: 'public', channel: 'changes' }
const mapping = 'cache_map_0123456789ab_7'

/** A session of a server that answers drains in this order, and the last answer again. */
async function sessionOf(t: Test, ...answers: readonly ScriptedAnswer[]) {
  let count = 0
  const server = await scriptedPostgres(t, {
    answer: (statement) =>
      statement.includes('with gone') ? answers[Math.min(count++, answers.length - 1)] : [],
  })
  const late: (string | undefined)[] = []
  const clock = new DrivenClock()
  const options = {
    url: server.url,
    table,
    limitMs: 600,
    onLate: (one: string | undefined) => late.push(one),
  }
  const session = await DrainSession.open(options, clock)
  t.teardown(() => session.destroy())
  return { session, server, clock, late }
}

const drained = (snapshot: string) => [{ snapshot, epoch: 'e', rows: '3' }]
const cancelled = (where: string) => ({ code: '57014', message: 'canceling statement', where })

/** The statements without the text of the drains, which is long. */
const shortened = (statements: readonly string[]) =>
  statements.map((text) => (text.includes('with gone') ? 'drain' : text.trim()))

t.test('a session sets its limit, and drains from the snapshot of its last drain', async (t) => {
  const { session, server, clock } = await sessionOf(t, drained('1:1:'), drained('2:2:'))
  t.match(server.startups[0], 'application_name\0caching-layer outbox\0')
  t.match(server.statements.at(-1), 'set statement_timeout = 600')
  t.match(await session.drain(), { sentMs: clock.now(), epoch: 'e', rows: '3' })
  await session.drain()
  await session.drain()
  t.strictSame(server.parameters, [['{}'], ['{}', '1:1:'], ['{}', '2:2:']])
})

t.test('after a drain that is too slow, another one runs no mapping and has no limit', async (t) => {
  const { session, server, clock, late } = await sessionOf(
    t,
    cancelled(`SQL function "${mapping}" statement 1`),
    drained('1:1:'),
  )
  const before = server.statements.length
  await session.drain()
  t.strictSame(shortened(server.statements.slice(before)), [
    'drain',
    'set statement_timeout = 0',
    'drain',
    'set statement_timeout = 600',
  ])
  t.strictSame(late, [mapping])
  clock.advance(29_999)
  await session.drain()
  clock.advance(1)
  await session.drain()
  t.strictSame(
    server.parameters.map(([unrun]) => unrun),
    ['{}', null, `{"${mapping}"}`, '{}'],
    'the mapping is not run for 30 s',
  )
})

t.test('a drain that is too slow for another reason blames no mapping', async (t) => {
  const { session, server, late } = await sessionOf(t, cancelled('SQL statement "x"'), drained('1:1:'))
  await session.drain()
  t.strictSame(late, [undefined])
  await session.drain()
  t.strictSame(
    server.parameters.map(([unrun]) => unrun),
    ['{}', null, '{}'],
  )
})

t.test('any other failure of a drain is thrown, and so is one without a row', async (t) => {
  const failing = await sessionOf(t, { code: '42501', message: 'no right' })
  await t.rejects(failing.session.drain(), { code: '42501' })
  t.strictSame(failing.late, [])
  t.equal(failing.server.parameters.length, 1, 'it is not sent again')
  const empty = await sessionOf(t, [])
  await t.rejects(empty.session.drain(), { message: 'the drain returned no row' })
})

t.test('a session that cannot be set up leaves no connection', async (t) => {
  const server = await scriptedPostgres(t, { answer: () => ({ code: '42501', message: 'no' }) })
  const opening = DrainSession.open({ url: server.url, table, limitMs: 0 }, new DrivenClock())
  await t.rejects(opening, { message: 'no' })
  const [socket] = server.sockets as [Socket]
  if (!socket.closed) await once(socket, 'close')
})
