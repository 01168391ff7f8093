import { mock } from 'node:test'
import t from 'tap'
import { PublicError } from '../../../../src/core/errors.js'
import type { FeedSession } from '../../../../src/core/ports.js'
import { deaf } from '../../../../src/postgres/feed/echo.js'
import { Gate } from '../../../support/gate.js'
import { scriptedFeed } from '../../../support/scripted-feed.js'
import { turn } from '../../../support/turn.js'

t.test('each loss of a live feed is logged, and followed by the shortest pause', async (t) => {
  const done = new Gate()
  let session: FeedSession | undefined
  let count = 0
  const { pauses, logged, told, state } = await scriptedFeed(t, {
    handler: {
      listening: async (_asOfMs, live) => {
        session = live
      },
      rest: () => {
        if (++count === 3) return done.pass()
        session?.end('no more')
        return undefined
      },
    },
  })
  await done.reached
  t.strictSame(
    pauses.filter((ms) => ms < 1_000),
    [75, 75],
  )
  const line = { level: 'warn', fields: { reason: 'no more' }, message: 'no change feed; trying again' }
  t.strictSame(logged, [line, line])
  t.match(told, [
    ['no more', 'no more'],
    ['no more', 'no more'],
  ])
  t.equal(state.renewed, 2)
})

t.test('pauses after failures double up to 2 s, and a reason is logged when it is another', async (t) => {
  const reasons = ['one', 'one', 'one', 'one', 'one', 'two', 'two']
  const errors = reasons.map((reason) => new PublicError(`${reason} in full`, reason))
  const ready = new Gate()
  const closed = new Gate()
  const wasStarted: boolean[] = []
  let count = 0
  const { feed, told, pauses, logged, state } = await scriptedFeed(t, {
    prepare: async () => {
      await ready.pass()
      throw errors[count++]
    },
    onPause: async ({ length }) => {
      await turn()
      wasStarted.push(state.isStarted)
      if (length === reasons.length) feed.close().then(() => closed.pass())
    },
  })
  ready.open()
  await closed.reached
  t.strictSame(pauses, [75, 150, 300, 600, 1_200, 1_500, 1_500], 'less a quarter, which is drawn')
  t.notOk(wasStarted.includes(false), 'nobody waits for the first success')
  t.strictSame(
    told,
    errors.map((error, index) => [`${reasons[index]} in full`, reasons[index], error]),
  )
  t.match(
    logged.map(({ fields }) => fields),
    [{ reason: 'one in full' }, { reason: 'two in full' }],
  )
  t.equal(state.renewed, reasons.length)
})

t.test('a feed can be closed during a pause', async (t) => {
  const paused = new Gate()
  const { feed } = await scriptedFeed(t, {
    prepare: () => Promise.reject(new PublicError('no')),
    onPause: () => paused.pass(),
  })
  await paused.reached
  await feed.close()
})

for (const [stalls, reason, limitMs] of [
  [/queue_usage/, 'the table could not be inspected in time', 3_000],
  [/^LISTEN /, 'LISTEN was not answered', 3_000],
  [/as digest/, 'the bindings could not be inspected in time', 3_000],
  [/^prepare /, 'the bindings could not be inspected in time', 3_000],
  [/^pg_notify/, deaf, 1_500],
  [/^execute /, 'the listening connection does not answer', 1_500],
] as const)
  t.test(`a session whose server does not answer is given up in time: ${stalls.source}`, async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => mock.timers.reset())
    const stalled = new Gate()
    const closed = new Gate()
    const reasons: string[] = []
    const { feed } = await scriptedFeed(t, {
      answers: (statement) => {
        // The statement that prepares the probe has the words of others.
        const isStalled = stalls.test(statement.startsWith('prepare') ? 'prepare ' : statement)
        if (isStalled) stalled.pass()
        return !isStalled
      },
      handler: {
        lost: (message) => {
          reasons.push(message)
          feed.close().then(() => closed.pass())
        },
      },
    })
    await stalled.reached
    await turn()
    mock.timers.tick(limitMs - 1)
    await turn()
    t.strictSame(reasons, [])
    mock.timers.tick(1)
    await closed.reached
    t.strictSame(reasons, [reason])
  })
