import t from 'tap'
import { Gate } from '../../../support/gate.js'
import { scriptedFeed } from '../../../support/scripted-feed.js'
import type { ScriptedPostgres } from '../../../support/scripted-postgres.js'
import { turn } from '../../../support/turn.js'

/** A handler that rests as soon as it can, until the test needs the feed again. */
function restingHandler() {
  const rests = [new Gate(), new Gate(), new Gate()]
  let count = 0
  return { rests, rest: () => rests[count++]?.pass() }
}

for (const [whenIdle, connections] of [
  ['listen', 1],
  ['disconnect', 2],
] as const)
  t.test(`a feed that was idle listens again before it counts: ${whenIdle}`, async (t) => {
    const { rests, rest } = restingHandler()
    const { feed, server, state, told, tables, pauses } = await scriptedFeed(t, {
      whenIdle,
      handler: { rest },
    })
    await rests[0]?.reached
    await turn()
    t.strictSame(tables.at(-1), undefined, 'nothing is known of the table meanwhile')
    t.match(state, { sessions: 1, isStarted: true })
    t.strictSame(feed.drains, { statements: 0, rows: 0 })
    rests[0]?.open()
    await rests[1]?.reached
    t.strictSame(told, ['listening', 'listening'])
    t.equal(server.startups.length, connections)
    t.strictSame(
      tables.filter((channel) => channel !== undefined),
      ['changes', 'changes'],
    )
    t.strictSame(pauses, [1_000, 1_000], 'only those before the probes')
    await feed.close()
  })

t.test('a connection that is lost while the feed is idle is replaced when the feed is needed', async (t) => {
  const { rests, rest } = restingHandler()
  const { server, state, told, tables } = await scriptedFeed(t, { handler: { rest } })
  await rests[0]?.reached
  server.sockets[0]?.destroy()
  while (tables.length < 3) await turn()
  t.strictSame(tables, ['changes', undefined, undefined], 'the session is over')
  await turn()
  t.equal(state.sessions, 1)
  rests[0]?.open()
  await rests[1]?.reached
  t.equal(server.startups.length, 2)
  t.strictSame(told, ['listening', 'listening'], 'nobody is told of a loss')
})

t.test('a feed can be closed while it is idle', async (t) => {
  for (const whenIdle of ['listen', 'disconnect'] as const) {
    const { rests, rest } = restingHandler()
    const { feed, server, told } = await scriptedFeed(t, { whenIdle, handler: { rest } })
    await rests[0]?.reached
    await turn()
    await feed.close()
    t.strictSame(told, ['listening'])
    while (!server.sockets[0]?.closed) await turn()
  }
})

t.test('a table that was moved while the feed was idle is looked for anew', async (t) => {
  const { rests, rest } = restingHandler()
  const { state, told, server } = await scriptedFeed(t, { handler: { rest } })
  await rests[0]?.reached
  state.channel = 'elsewhere'
  rests[0]?.open()
  await rests[1]?.reached
  t.match(told, ['listening', ['the table was moved to another schema'], 'listening'])
  t.equal(server.startups.length, 2)
})

t.test('the server drops a listener that has not read for four times the bound on staleness', async (t) => {
  const { rests, rest } = restingHandler()
  const { server } = await scriptedFeed(t, { handler: { rest } })
  await rests[0]?.reached
  t.match(server.startups[0], '-c tcp_user_timeout=12000\0')
})

t.test('whoever knows of other bindings brings the next probe forward, with an inspection', async (t) => {
  const announcements: Readonly<Record<string, (server: ScriptedPostgres, outdated: () => void) => void>> = {
    'a notification': (server) => server.notify('changes', '["\\u0000bindings","1"]'),
    'a read that has failed': (_server, outdated) => outdated(),
  }
  for (const [name, announce] of Object.entries(announcements)) {
    const waiting = new Gate()
    const { rests, rest } = restingHandler()
    let count = 0
    let outdated: () => void = () => undefined
    const bindings = {
      found: () => undefined,
      proven: () => undefined,
      onOutdated: (inspect: () => void) => {
        outdated = inspect
      },
    }
    const { server, pauses } = await scriptedFeed(t, {
      bindings,
      handler: { rest: () => (++count === 1 ? undefined : rest()) },
      onPause: ({ length }) => (length === 1 ? waiting.pass() : undefined),
    })
    await waiting.reached
    const inspections = () => server.statements.filter((statement) => /as digest/.test(statement)).length
    const before = inspections()
    announce(server, outdated)
    await rests[0]?.reached
    t.strictSame(pauses, [1_000, 100, 1_000], name)
    t.equal(inspections(), before + 1)
  }
})
