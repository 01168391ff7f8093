import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../bench.js'
import type { Comparison, Contender, Figures, Row } from '../comparison.js'
import { measureDelivery } from '../delivery.js'
import { startFleetServer } from '../fleet-server.js'
import { Lifetime } from '../lifetime.js'
import { type ListenerKind, startListeners } from '../listeners.js'
import type { BenchDatabase } from '../postgres.js'
import { cpuSecondsOf } from '../process-usage.js'
import { startSidecar } from '../sidecar.js'

export const sizes = [10, 50, 200] as const
export const rates = [1, 100, 1_000] as const
/** Size of a fleet at which writes are a small part of the work and changes are still followed at once. */
const busiest: (typeof sizes)[number] = 50

const writers = 2
/** Minimum durations: at one change per second a shorter time would see few changes. */
const shortestSeconds: Readonly<Record<number, number>> = { 1: 10 }
const deliveredWithinMs = 60_000
/** A connection of the pool is closed after 10 s without work. */
const quietMs = 12_000
/** Time in ms until every sidecar has sent an echo. */
const restMs = 16_000

export const sidecarsOf = (size: number) => `${size} sidecars`
export const clientsOf = (size: number) => `${size} bare clients`

/** Measures a growing fleet: one server, more and more that listen, two more sidecars that take the writes. */
export const scaling: Comparison = {
  name: 'scaling',
  about: `${sizes.join(', ')} sidecars on one server: delivery, connections, the server's time`,
  once: true,
  onlyWhenNamed: true,
  rows: [
    ...rates.flatMap((rate) => [
      ...eachSize({ work: `${rate} changes/s: p99`, figure: `p99MsAt${rate}`, unit: 'ms' }),
      ...eachSize({ work: `${rate} changes/s: PostgreSQL`, figure: `serverAt${rate}`, unit: '% of a core' }),
    ]),
    {
      work: `deliveries that a core of the server carries`,
      figure: 'deliveriesPerCore',
      unit: '/s',
      of: sidecarsOf(busiest),
      against: clientsOf(busiest),
    },
    ...sizes.flatMap((size): Row[] => [
      ...rates.map((rate) => ({
        work: `${rate} changes/s: share delivered`,
        figure: `deliveredAt${rate}`,
        unit: 'of 1',
        of: sidecarsOf(size),
        target: { atLeast: 1 },
      })),
      {
        work: 'at rest: listening',
        figure: 'listeningEach',
        unit: 'connections each',
        of: sidecarsOf(size),
        target: { atMost: 1 },
      },
      {
        work: 'at rest: pool, on average',
        figure: 'poolMeanEach',
        unit: 'connections each',
        of: sidecarsOf(size),
        target: { atMost: 1 },
      },
      { work: 'at rest: PostgreSQL', figure: 'serverAtRest', unit: '% of a core', of: sidecarsOf(size) },
    ]),
  ],
  async open(bench) {
    return sizes.flatMap((size) => [
      contender(bench, 'sidecar feeds', sidecarsOf(size), size),
      contender(bench, 'bare clients', clientsOf(size), size),
    ])
  },
}

function eachSize(row: Omit<Row, 'of' | 'against'>): Row[] {
  return sizes.map((size) => ({ ...row, of: sidecarsOf(size), against: clientsOf(size) }))
}

function contender(bench: Bench, kind: ListenerKind, name: string, size: number): Contender {
  return {
    name,
    measure: async ({ seconds }) => {
      const round = new Lifetime()
      bench.teardown(() => round.end())
      const { server, database } = await startFleetServer(bench, round, size + writers)
      const ports: number[] = []
      for (let count = 0; count < writers; count++)
        ports.push((await startSidecar(round, { databaseUrl: database.url, on: 'load' })).port)
      const listeners = await startListeners(round, kind, size, database)
      const figures: Record<string, number> = {}
      if (kind === 'sidecar feeds') {
        await sleep(quietMs)
        const [startMs, before] = [performance.now(), await server.cpuSeconds()]
        Object.assign(figures, await connectionsAtRest(database, size + writers))
        figures.serverAtRest = percent((await server.cpuSeconds()) - before, startMs)
      }
      for (const rate of rates) {
        const [startMs, before] = [performance.now(), await server.cpuSeconds()]
        const listenersBefore = cpuSecondsOf(listeners.pids)
        const delivery = await measureDelivery({
          listeners,
          ports,
          rate,
          seconds: Math.max(seconds, shortestSeconds[rate] ?? 0),
          withinMs: deliveredWithinMs,
        })
        const serverSeconds = (await server.cpuSeconds()) - before
        const listenerSeconds = cpuSecondsOf(listeners.pids) - listenersBefore
        figures[`p50MsAt${rate}`] = delivery.p50Ms
        figures[`p99MsAt${rate}`] = delivery.p99Ms
        figures[`deliveredAt${rate}`] = delivery.delivered
        figures[`rateAt${rate}`] = delivery.rate
        figures[`serverAt${rate}`] = percent(serverSeconds, startMs)
        figures[`listenersAt${rate}`] = percent(listenerSeconds, startMs)
        figures[`serverMicrosAt${rate}`] = (serverSeconds / delivery.deliveries) * 1e6
        figures[`listenerMicrosAt${rate}`] = (listenerSeconds / delivery.deliveries) * 1e6
      }
      figures.deliveriesPerCore = 1e6 / (figures.serverMicrosAt1000 as number)
      await round.end()
      return figures
    },
  }
}

function percent(cpuSeconds: number, startMs: number): number {
  return (100 * cpuSeconds) / ((performance.now() - startMs) / 1_000)
}

async function connectionsAtRest({ query }: BenchDatabase, sidecars: number): Promise<Figures> {
  const listening: number[] = []
  const pool: number[] = []
  const endMs = performance.now() + restMs
  while (performance.now() < endMs) {
    const [row] = await query<{ listening: number; pool: number }>(
      `select count(*) filter (where application_name = 'caching-layer changes')::int as listening,
              count(*) filter (where application_name = 'caching-layer')::int as pool
       from pg_stat_activity`,
    )
    listening.push(row?.listening ?? Number.NaN)
    pool.push(row?.pool ?? Number.NaN)
    await sleep(500)
  }
  return {
    listeningEach: Math.max(...listening) / sidecars,
    poolMeanEach: pool.reduce((sum, count) => sum + count, 0) / pool.length / sidecars,
    poolMostEach: Math.max(...pool) / sidecars,
  }
}
