import type { Bench } from '../bench.js'
import type { Comparison, Contender } from '../comparison.js'
import { measureDelivery } from '../delivery.js'
import { Lifetime } from '../lifetime.js'
import { type ListenerKind, startListeners } from '../listeners.js'
import type { BenchDatabase } from '../postgres.js'
import { startSidecar } from '../sidecar.js'

const listeners = 50
const changesPerSecond = 1_000
const deliveredWithinMs = 20_000
/**
 * Does not count: the listeners are new in each round, and what Node compiles while it runs is compiled on their core.
 */
const warmUpSeconds = 4

const row = { of: 'sidecar feeds' } as const

/** Two more sidecars take the writes. */
export const fleet: Comparison = {
  name: 'fleet',
  about: `${listeners} sidecars that follow ${changesPerSecond} changed keys per second`,
  rows: [
    {
      ...row,
      work: `${listeners} feeds, ${changesPerSecond} changes/s: p99`,
      figure: 'p99Ms',
      unit: 'ms',
      against: 'bare clients',
      target: { atMost: 1.5 },
    },
    { ...row, work: `${listeners} feeds: p50`, figure: 'p50Ms', unit: 'ms', against: 'bare clients' },
    {
      ...row,
      work: `${listeners} feeds: share delivered`,
      figure: 'delivered',
      unit: 'of 1',
      target: { atLeast: 1 },
    },
    {
      ...row,
      work: `${listeners} feeds: changes (${changesPerSecond} asked for)`,
      figure: 'rate',
      unit: 'keys/s',
      target: { atLeast: 0.99 * changesPerSecond },
    },
  ],
  async open(bench) {
    const database = await bench.postgres.database()
    const writers = [
      await startSidecar(bench, { databaseUrl: database.url, on: 'load' }),
      await startSidecar(bench, { databaseUrl: database.url, on: 'load' }),
    ]
    const ports = writers.map(({ port }) => port)
    return [
      contender(bench, 'sidecar feeds', database, ports),
      contender(bench, 'bare clients', database, ports),
    ]
  },
}

function contender(
  bench: Bench,
  name: ListenerKind,
  database: BenchDatabase,
  ports: readonly number[],
): Contender {
  return {
    name,
    measure: async ({ seconds }) => {
      const round = new Lifetime()
      bench.teardown(() => round.end())
      const work = {
        listeners: await startListeners(round, name, listeners, database),
        ports,
        rate: changesPerSecond,
        withinMs: deliveredWithinMs,
      }
      await measureDelivery({ ...work, seconds: warmUpSeconds })
      const delivery = await measureDelivery({ ...work, seconds })
      await round.end()
      return { ...delivery }
    },
  }
}
