import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { PublicError } from '../../../../src/core/errors.js'
import type { ChangeFeedHandler, FeedSession } from '../../../../src/core/ports.js'
import {
  PostgresChangeFeed,
  type PostgresChangeFeedOptions,
  type PostgresChangeFeedParts,
} from '../../../../src/postgres/feed/feed.js'
import type { Database } from '../../../../src/postgres/pool/database.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { Gate } from '../../../support/gate.js'
import { recordedPauses } from '../../../support/recorded-pauses.js'
import { recordingLog } from '../../../support/recording-log.js'
import { type ScriptedAnswer, scriptedPostgres } from '../../../support/scripted-postgres.js'
import { turn } from '../../../support/turn.js'

const table = {
  ...{
    schema: 'public',
    kind: 'r',
    queue_usage: '0',
    channel: 'changes',
    key_type: 'text',
    key_is_exact: 't',
  },
  ...{
    value_type: 'text',
    odd_columns: '',
    foreign_owner: null,
    has_unique_key: 't',
    untying: '',
    lacks: '',
  },
  ...{ missing: '', disabled: '', rules: '', has_nullable_value: '', functions_schema: 'public' },
  ...{ is_up_to_date: 't', fingerprint: 'f' },
}

/** Answers the statements of a session like a server whose table has no fault, and that has no bindings. */
function answerOf(statement: string, channel: string): ScriptedAnswer {
  if (/^(LISTEN|set|prepare) /.test(statement)) return []
  if (statement.startsWith('execute'))
    return [{ epoch: 'e', latest: '7', fingerprint: 'f', bindings: 'd', prepared: '', database_ms: '5' }]
  if (statement.includes('as digest')) return [{ digest: 'd', tables: '', queries: '' }]
  if (statement.includes('as prepared')) return [{ prepared: '' }]
  return [{ ...table, channel }]
}

interface FeedOptions extends Partial<PostgresChangeFeedOptions>, Partial<PostgresChangeFeedParts> {
  readonly handler?: Partial<ChangeFeedHandler>
  /** Returns false for a statement that is not answered. */
  readonly answers?: (statement: string) => boolean
  readonly onPause?: (pauses: readonly number[]) => unknown
}

/** Starts a feed of a scripted server, whose pauses take no time. */
async function feedOf(t: Test, { handler, answers = () => true, onPause, ...more }: FeedOptions = {}) {
  const state = { channel: 'changes', renewed: 0, sessions: 0, isStarted: false }
  const server = await scriptedPostgres(t, {
    answer: (statement) => {
      return answers(statement) ? answerOf(statement, state.channel) : undefined
    },
  })
  t.intercept(Math, 'random', { value: () => 0.5 })
  const pauses = recordedPauses(t, () => onPause?.(pauses))
  const { log, logged } = recordingLog()
  const told: unknown[] = []
  const tables: (string | undefined)[] = []
  const database = {
    read: async (_text: string, [channel, payload]: string[]) => server.notify(channel ?? '', payload ?? ''),
    renew: () => state.renewed++,
  } as unknown as Database
  const feed = new PostgresChangeFeed(
    { url: server.url, maxStalenessMs: 3_000, whenIdle: 'listen', ...more },
    {
      database,
      clock: new DrivenClock(),
      log,
      onTable: (found) => tables.push(found?.channel),
      prepare: async () => void state.sessions++,
      ...more,
    },
  )
  t.teardown(() => feed.close())
  const started = feed.start({
    bound: () => undefined,
    listening: async () => void told.push('listening'),
    proven: () => undefined,
    changed: () => undefined,
    lost: (...reasons) => void told.push(reasons),
    rest: () => undefined,
    ...handler,
  })
  started.then(() => {
    state.isStarted = true
  })
  return { feed, server, state, pauses, logged, told, tables }
}

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
    const { feed, server, state, told, tables, pauses } = await feedOf(t, { whenIdle, handler: { rest } })
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
  const { server, told, tables } = await feedOf(t, { handler: { rest } })
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
    const { feed, told } = await feedOf(t, { whenIdle, handler: { rest } })
    await rests[0]?.reached
    await turn()
    await feed.close()
    t.strictSame(told, ['listening'])
  }
})

t.test('a table that was moved while the feed was idle is looked for anew', async (t) => {
  const { rests, rest } = restingHandler()
  const { state, told, server } = await feedOf(t, { handler: { rest } })
  await rests[0]?.reached
  state.channel = 'elsewhere'
  rests[0]?.open()
  await rests[1]?.reached
  t.match(told, ['listening', ['the table was moved to another schema'], 'listening'])
  t.equal(server.startups.length, 2)
})

t.test('each loss of a live feed is logged, and followed by the shortest pause', async (t) => {
  const done = new Gate()
  let session: FeedSession | undefined
  let count = 0
  const { pauses, logged, told, state } = await feedOf(t, {
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
  const { feed, told, pauses, logged, state } = await feedOf(t, {
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
  const { feed } = await feedOf(t, {
    prepare: () => Promise.reject(new PublicError('no')),
    onPause: () => paused.pass(),
  })
  await paused.reached
  await feed.close()
})

t.test('the server drops a listener that has not read for four times the bound on staleness', async (t) => {
  const { rests, rest } = restingHandler()
  const { server } = await feedOf(t, { handler: { rest } })
  await rests[0]?.reached
  t.match(server.startups[0], '-c tcp_user_timeout=12000\0')
})

for (const [stalls, reason] of [
  [/queue_usage/, 'the table could not be inspected in time'],
  [/^LISTEN /, 'LISTEN was not answered'],
  [/as digest/, 'the bindings could not be inspected in time'],
  [/^prepare /, 'the bindings could not be inspected in time'],
] as const)
  t.test(`a session whose server does not answer is given up after 3 s: ${stalls.source}`, async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => mock.timers.reset())
    const stalled = new Gate()
    const closed = new Gate()
    const reasons: string[] = []
    const { feed } = await feedOf(t, {
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
    mock.timers.tick(2_999)
    await turn()
    t.strictSame(reasons, [])
    mock.timers.tick(1)
    await closed.reached
    t.strictSame(reasons, [reason])
  })
