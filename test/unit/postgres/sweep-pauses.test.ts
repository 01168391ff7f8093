import t, { type Test } from 'tap'
import { rowsPerSweep, type SweepRow } from '../../../src/postgres/sweep/sweep-statement.js'
import { Sweeper, type SweeperOptions, type SweeperParts } from '../../../src/postgres/sweep/sweeper.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { Gate } from '../../support/gate.js'
import { recordedPauses } from '../../support/recorded-pauses.js'
import { recordingLog } from '../../support/recording-log.js'

/**
 * A sweeper whose pauses take no time but that of its clock, until it has made so many. Each sweep is answered with the
 * next of these rows, and otherwise finds nothing.
 */
async function sweeperOf(
  t: Test,
  count: number,
  options: Partial<SweeperOptions> = {},
  {
    rows = [],
    onBatch,
  }: { rows?: readonly Partial<SweepRow>[]; onBatch?: (clock: DrivenClock) => void } = {},
) {
  t.intercept(Math, 'random', { value: () => 0.5 })
  const clock = new DrivenClock()
  const done = new Gate()
  const pauses = recordedPauses(t, (ms) => {
    clock.advance(ms)
    return pauses.length >= count ? done.pass() : undefined
  })
  const asked = { batches: 0, mayRun: true, steadySeconds: [] as unknown[] }
  const sweeper = new Sweeper({ intervalMs: 60_000, maxStalenessMs: 3_000, ...options }, {
    clock,
    schema: { get: async () => 'public' },
    database: {
      read: async () => [{ obstacle: null, is_read_only: false }],
      write: async (_text: string, [, seconds]: unknown[]) => {
        asked.steadySeconds.push(seconds)
        const row = rows[asked.batches++]
        onBatch?.(clock)
        return [{ is_ours: true, removed: 0, last: null, database_ms: 0, ...row }]
      },
    },
    log: recordingLog().log,
    mayRun: () => asked.mayRun,
  } as unknown as SweeperParts)
  t.teardown(() => sweeper.close())
  sweeper.start()
  return { sweeper, pauses, asked, done }
}

const full = { removed: rowsPerSweep, last: 5 }

t.test(
  'sweeps begin once the clock of the database can be confirmed, and then at the interval',
  async (t) => {
    const { pauses, done } = await sweeperOf(t, 4)
    await done.reached
    t.strictSame(pauses, [3_000, 3_000, 60_000, 60_000])
  },
)

t.test('nothing counts as expired before the clock of the database is confirmed', async (t) => {
  const rows = [{ database_ms: 60_000_000 }, { database_ms: 60_003_000 }]
  const { asked, done } = await sweeperOf(t, 3, {}, { rows })
  await done.reached
  t.strictSame(asked.steadySeconds, [Number.NEGATIVE_INFINITY, 60_003], 'in s since 1970')
})

t.test('an interval that is shorter than that counts from the start', async (t) => {
  const { pauses, done } = await sweeperOf(t, 3, { intervalMs: 1_000 })
  await done.reached
  t.strictSame(pauses, [1_000, 1_000, 1_000])
})

t.test('no timer is longer than Node.js can wait, and without an interval there is no sweep', async (t) => {
  for (const options of [{ intervalMs: 1e12, maxStalenessMs: 1e12 }, { intervalMs: 0 }]) {
    const { pauses, asked, done } = await sweeperOf(t, 1, options)
    await done.reached
    t.strictSame(pauses, [2 ** 31 - 1])
    t.equal(asked.batches, 0)
  }
})

t.test('after a batch, others have four times as long as it took, and 50 ms at least', async (t) => {
  const times = [20, 12, 13]
  const { pauses, done } = await sweeperOf(
    t,
    5,
    {},
    { rows: [full, full, full], onBatch: (clock) => clock.advance(times.shift() ?? 0) },
  )
  await done.reached
  t.strictSame(pauses.slice(1, 4), [80, 50, 52])
})

t.test('a sweep that may not go on ends after its batch', async (t) => {
  const { pauses, asked, done } = await sweeperOf(
    t,
    3,
    {},
    {
      rows: [full, full],
      onBatch: () => {
        asked.mayRun = false
      },
    },
  )
  await done.reached
  t.equal(asked.batches, 1)
  t.strictSame(pauses, [3_000, 50, 3_000])
})

t.test('the same interval does not begin the pause anew, and another one does', async (t) => {
  const { sweeper, pauses, asked, done } = await sweeperOf(t, 1)
  await done.reached
  sweeper.reconfigure({ intervalMs: 60_000 })
  await new Promise(setImmediate)
  t.equal(pauses.length, 1)
  sweeper.reconfigure({ intervalMs: 1_000 })
  await new Promise(setImmediate)
  t.strictSame(pauses, [3_000, 1_000])
  t.equal(asked.batches, 0, 'which is no reason to sweep')
})

t.test('a sweeper that is closed during the pause after a batch sends no other one', async (t) => {
  const { sweeper, asked, done } = await sweeperOf(t, 2, {}, { rows: [full, full] })
  await done.reached
  await sweeper.close()
  t.equal(asked.batches, 1)
})
