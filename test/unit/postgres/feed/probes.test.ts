import t, { type Test } from 'tap'
import type { ChangeFeedHandler } from '../../../../src/core/ports.js'
import { type Inspected, Prober, type ProberParts } from '../../../../src/postgres/feed/prober.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { recordedPauses } from '../../../support/recorded-pauses.js'
import { soundEntries } from '../../../support/sound-entries.js'
import { turn } from '../../../support/turn.js'

const proof = { epoch: 'e', latest: '7', fingerprint: 'f', bindings: 'one', prepared: '', database_ms: 5 }

interface Options {
  /** Number of probes, after which the handler rests. */
  readonly probes: number
  readonly maxStalenessMs?: number
  /** Returns what differs in the answer to a probe, by its number. */
  readonly answer?: (number: number) => Partial<typeof proof> | undefined
  /** Returns the digest that the inspection with this number finds. */
  readonly digest?: (number: number) => string
  readonly handler?: Partial<ChangeFeedHandler>
  readonly prepared?: string
}

/** Sends some probes, whose pauses move the clock: with the usual bound on staleness, one each second. */
async function probed(t: Test, options: Options) {
  const {
    probes,
    maxStalenessMs = 3_000,
    answer = () => undefined,
    digest = () => 'one',
    handler,
    prepared = '',
  } = options
  const clock = new DrivenClock()
  t.intercept(Math, 'random', { value: () => 0.5 })
  const told: unknown[] = []
  const drainMs: number[] = []
  const quietMs: number[] = []
  let [sent, rests, inspections] = [0, 0, 0]
  /** Number of the probe after which each inspection began. */
  const inspectedAfter: number[] = []
  const pauses = recordedPauses(t, async (ms) => {
    clock.advance(ms)
    // An inspection beside the probes ends meanwhile.
    await turn()
  })
  const over = new AbortController()
  const prober = new Prober({ maxStalenessMs }, {
    clock,
    handler: {
      rest: () => (rests++ < probes ? undefined : Promise.resolve()),
      proven: () => void told.push('proven'),
      bound: () => void told.push('bound'),
      changed: () => undefined,
      ...handler,
    },
    session: {
      channel: 'changes',
      query: async (sql: string) => {
        if (sql.startsWith('execute')) return [{ ...proof, ...answer(++sent) }]
        if (sql.includes('as digest')) {
          inspectedAfter.push(sent)
          return [{ digest: digest(++inspections), tables: [], queries: [] }]
        }
        if (sql.includes('as prepared')) return [{ prepared: '' }]
        return sql.startsWith('set') ? [] : [soundEntries]
      },
      receivesAny: async (ms: number) => {
        quietMs.push(ms)
        return true
      },
      received: async () => undefined,
      forget: () => undefined,
    },
    database: { read: async () => [] },
    drainer: {
      drain: async (ms: number) => void drainMs.push(ms),
      last: undefined,
      drainFor: () => undefined,
    },
    onTable: () => undefined,
    end: (reason: Error) => told.push(reason.message),
  } as unknown as ProberParts)
  const inspected = {
    table: soundEntries,
    bindings: { digest: 'one', sources: [] },
    bindingsSentMs: 0,
    prepared,
  }
  await prober.prove(inspected as unknown as Inspected, over.signal)
  return { told, pauses, drainMs, quietMs, inspectedAfter }
}

t.test('a probe that shows nothing new is followed by an inspection once a minute', async (t) => {
  const { inspectedAfter } = await probed(t, { probes: 120 })
  t.strictSame(inspectedAfter, [57, 114])
})

t.test('an inspection beside the probes is passed on with the next of them', async (t) => {
  const { told } = await probed(t, { probes: 59 })
  t.equal(told.indexOf('bound'), 57)
  t.equal(told.length, 60)
})

t.test('what an inspection has found of other bindings than the next probe does not count', async (t) => {
  const { told, inspectedAfter } = await probed(t, {
    probes: 61,
    digest: (number) => (number === 1 ? 'two' : 'one'),
  })
  t.strictSame(inspectedAfter, [57, 59], 'and is not waited for until the next minute')
  t.strictSame([told.indexOf('bound'), told.lastIndexOf('bound')], [59, 59])
})

t.test('a probe that shows another table, or other bindings, counts after an inspection', async (t) => {
  for (const change of [{ fingerprint: 'g' }, { bindings: 'two' }]) {
    const { told, inspectedAfter } = await probed(t, {
      probes: 60,
      answer: (number) => (number < 3 ? undefined : change),
      digest: () => change.bindings ?? 'one',
    })
    t.strictSame(told.slice(0, 5), ['proven', 'proven', 'bound', 'proven', 'proven'])
    t.strictSame(inspectedAfter, [3, 60], 'a minute begins with it')
  }
})

t.test('a drain and a notification are waited for until half of the interval is over', async (t) => {
  for (const [maxStalenessMs, intervalMs] of [
    [30_000, 1_000],
    [3_000, 1_000],
    [1_200, 400],
  ] as const) {
    const { pauses, drainMs, quietMs } = await probed(t, { probes: 2, maxStalenessMs })
    t.strictSame(pauses.map(Math.round), [intervalMs, intervalMs, intervalMs])
    t.strictSame(drainMs, [intervalMs / 2, intervalMs / 2])
    t.strictSame(quietMs, [intervalMs / 2, intervalMs / 2])
  }
})

t.test('everything may have changed when a transaction has ended that was prepared before', async (t) => {
  const changes: unknown[] = []
  await probed(t, {
    probes: 3,
    prepared: '8 9',
    answer: (number) => ({ prepared: number === 1 ? '8 9' : '9' }),
    handler: { changed: (change) => void changes.push(change) },
  })
  t.strictSame(changes, [{ kind: 'everything' }])
})

t.test('the session ends if the cache cannot use a proof, or a change', async (t) => {
  const failing = (message: string) => () => Promise.reject(new Error(message))
  const { told } = await probed(t, {
    probes: 1,
    prepared: '8',
    handler: { proven: failing('the proof'), changed: failing('the change') },
  })
  t.strictSame(told, ['the change', 'the proof'])
})
