import t from 'tap'
import { Gate } from '../../../support/gate.js'
import { scriptedFeed } from '../../../support/scripted-feed.js'
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
  const { server, told, tables } = await scriptedFeed(t, { handler: { rest } })
  await rests[0]?.reached
  server.sockets[0]?.destroy()
  while (tables.length < 3) await turn()
  t.strictSame(tables, ['changes', undefined, undefined], 'the session is over')
  t.equal(server.startups.length, 1)
  rests[0]?.open()
  await rests[1]?.reached
  t.equal(server.startups.length, 2)
  t.strictSame(told, ['listening', 'listening'], 'nobody is told of a loss')
})

t.test('a feed can be closed while it is idle', async (t) => {
  for (const whenIdle of ['listen', 'disconnect'] as const) {
    const { rests, rest } = restingHandler()
    const { feed, told } = await scriptedFeed(t, { whenIdle, handler: { rest } })
    await rests[0]?.reached
    await turn()
    await feed.close()
    t.strictSame(told, ['listening'])
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
