import t, { type Test } from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import { rowsPerSweep, type SweepRow } from '../../../src/postgres/sweep/sweep-statement.js'
import { Sweeper, type SweeperParts } from '../../../src/postgres/sweep/sweeper.js'
import { eventually } from '../../support/eventually.js'
import { recordingLog } from '../../support/recording-log.js'

/** A sweeper of a database that answers sweeps in this order, and the last answer again. */
function sweeperOf(t: Test, answers: readonly (Partial<SweepRow> | Error | undefined)[], intervalMs = 1) {
  const { log, logged } = recordingLog()
  const sent: unknown[][] = []
  const obstacle: { obstacle: string | null; is_read_only: boolean } = { obstacle: null, is_read_only: false }
  const asked = { obstacles: 0, obstacle, mayRun: true }
  const sweeper = new Sweeper({ intervalMs, maxStalenessMs: 1 }, {
    clock: { now: () => performance.now() },
    schema: { get: async () => 'public' },
    database: {
      read: async () => {
        asked.obstacles++
        return [asked.obstacle]
      },
      write: async (_text: string, values: unknown[]) => {
        const answer = answers[Math.min(sent.length, answers.length - 1)]
        sent.push(values)
        if (answer instanceof Error) throw answer
        return answer === undefined
          ? []
          : [{ is_ours: true, removed: 0, last: null, database_ms: 0, ...answer }]
      },
    },
    log,
    mayRun: () => asked.mayRun,
  } as unknown as SweeperParts)
  t.teardown(() => sweeper.close())
  sweeper.start()
  return { sweeper, sent, asked, logged }
}

const full = (last: number) => ({ removed: rowsPerSweep, last })
const warning = (reason: string) => ({
  level: 'warn',
  fields: { reason },
  message: 'this sidecar cannot remove expired rows',
})

t.test('a batch begins where the last one ended, until one is not full', async (t) => {
  const { sweeper, sent } = sweeperOf(t, [full(5), full(6), { removed: 3, last: 7 }])
  await eventually(() => sent.length > 3)
  const never = Number.NEGATIVE_INFINITY
  t.strictSame(
    sent.slice(0, 4).map(([, , from]) => from),
    [never, 5, 6, never],
  )
  t.equal(new Set(sent.map(([name]) => name)).size, 1, 'all with the name of the sidecar')
  await sweeper.close()
  t.equal(sweeper.removedRows, 2 * rowsPerSweep + 3 * (sent.length - 2))
})

t.test('a sweep ends if another sidecar has the turn, or the database is not in use any more', async (t) => {
  const others = sweeperOf(t, [{ ...full(5), is_ours: false }])
  await eventually(() => others.sent.length > 2)
  t.ok(others.sent.every(([, , from]) => from === Number.NEGATIVE_INFINITY))
  const { sent, asked } = sweeperOf(t, [full(5)])
  await eventually(() => {
    asked.mayRun = sent.length === 0
    return sent.length > 0
  })
  await eventually(() => !asked.mayRun)
  t.equal(sent.length, 1)
})

t.test('an obstacle is logged once, and again after a sweep without it', async (t) => {
  const { sent, asked, logged } = sweeperOf(t, [{}])
  asked.obstacle = { obstacle: 'no right', is_read_only: false }
  await eventually(() => asked.obstacles > 3)
  t.strictSame(logged, [warning('no right')])
  asked.obstacle = { obstacle: null, is_read_only: false }
  const { length } = sent
  await eventually(() => sent.length > length)
  asked.obstacle = { obstacle: 'no right', is_read_only: false }
  await eventually(() => logged.length === 2)
  t.strictSame(logged[1], warning('no right'))
})

t.test('a server that is read-only is not written, whatever else is wrong', async (t) => {
  const { sent, asked, logged } = sweeperOf(t, [{}])
  asked.obstacle = { obstacle: 'no right', is_read_only: true }
  const before = sent.length
  await eventually(() => asked.obstacles > 3)
  t.strictSame([sent.length, logged], [before, []])
})

t.test('an error is logged, unless it passes by itself', async (t) => {
  const passing = sweeperOf(t, [new CacheError('store-busy', 'busy')])
  await eventually(() => passing.sent.length > 2)
  t.strictSame(passing.logged, [])
  for (const [answer, reason] of [
    [new CacheError('store-failed', 'a mistake'), 'a mistake'],
    [undefined, 'the sweep returned no row'],
  ] as const) {
    const { sent, logged } = sweeperOf(t, [answer])
    await eventually(() => sent.length > 2)
    t.strictSame(logged, [warning(reason)])
  }
})

t.test('another interval counts at once, and a sweeper that is closed sweeps no more', async (t) => {
  const { sweeper, sent, asked } = sweeperOf(t, [{}], 0)
  sweeper.reconfigure({ intervalMs: 1 })
  await eventually(() => sent.length > 2)
  await sweeper.close()
  const { obstacles } = asked
  sweeper.start()
  sweeper.reconfigure({ intervalMs: 2 })
  await sweeper.close()
  t.equal(asked.obstacles, obstacles)
})
