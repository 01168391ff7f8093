import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../bench.js'
import type { Comparison, Contender } from '../comparison.js'
import { startFleetServer } from '../fleet-server.js'
import { Lifetime } from '../lifetime.js'
import type { BenchDatabase } from '../postgres.js'
import { type BenchSidecar, startSidecar } from '../sidecar.js'

export const restingSidecars = 50
const startedAtOnce = 5
const measuredMs = 30_000
/** Longer than a connection of the pool stays open without work. */
const settleMs = 15_000
const idleWithinMs = 60_000

/** Environment by name of the contender. */
const environments: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'never idle': { CACHE_IDLE_AFTER_MS: '0' },
  'idle, listening': { CACHE_IDLE_AFTER_MS: '1000', CACHE_WHEN_IDLE: 'listen' },
  'idle, disconnected': { CACHE_IDLE_AFTER_MS: '1000', CACHE_WHEN_IDLE: 'disconnect' },
}

export const restNames = Object.keys(environments)

/** Measures the load of an idle fleet on its server. Each sidecar is a process. */
export const rest: Comparison = {
  name: 'rest',
  about: `${restingSidecars} sidecars without requests, each a process, for ${measuredMs / 1_000} s`,
  once: true,
  onlyWhenNamed: true,
  rows: restNames.flatMap((of) => {
    const isIdle = of !== 'never idle'
    return [
      {
        work: 'transaction ids used',
        figure: 'xidsPerMinute',
        unit: 'per minute',
        of,
        ...(isIdle && { target: { atMost: 0 } }),
      },
      { work: 'PostgreSQL, of a core', figure: 'serverShare', unit: '%', of },
      { work: 'WAL written', figure: 'walKiBPerMinute', unit: 'KiB/min', of },
      { work: 'connections', figure: 'connections', unit: 'connections', of },
    ]
  }),
  async open(bench) {
    return restNames.map((name) => contender(bench, name))
  },
}

function contender(bench: Bench, name: string): Contender {
  return {
    name,
    measure: async () => {
      const round = new Lifetime()
      bench.teardown(() => round.end())
      const { server, database } = await startFleetServer(bench, round, restingSidecars)
      const environment = { ...environments[name], DATABASE_URL: database.url }
      const sidecars: BenchSidecar[] = []
      while (sidecars.length < restingSidecars) {
        const next = Array.from({ length: startedAtOnce }, () =>
          startSidecar(
            { ...bench, teardown: (end) => round.teardown(end) },
            { databaseUrl: database.url, environment },
          ),
        )
        sidecars.push(...(await Promise.all(next)))
      }
      if (name !== 'never idle') await untilIdle(sidecars)
      await sleep(settleMs)
      const [before, cpuBefore, startMs] = [
        await look(database),
        await server.cpuSeconds(),
        performance.now(),
      ]
      await sleep(measuredMs)
      const [after, cpuAfter] = [await look(database), await server.cpuSeconds()]
      const seconds = (performance.now() - startMs) / 1_000
      await round.end()
      return {
        xidsPerMinute: ((after.xid - before.xid) * 60) / seconds,
        serverShare: ((cpuAfter - cpuBefore) * 100) / seconds,
        walKiBPerMinute: ((after.walBytes - before.walBytes) / 1_024) * (60 / seconds),
        connections: after.connections,
      }
    },
  }
}

async function untilIdle(sidecars: readonly BenchSidecar[]): Promise<void> {
  const endMs = performance.now() + idleWithinMs
  for (const { client } of sidecars) {
    while ((await client.stats()).feed.state !== 'idle') {
      if (performance.now() > endMs) throw new Error('a sidecar does not become idle')
      await sleep(100)
    }
  }
}

/** Takes no transaction id itself. */
async function look({ query }: BenchDatabase) {
  const [row] = await query<{ xid: string; wal: string; connections: number }>(
    `select pg_snapshot_xmax(pg_current_snapshot())::text as xid, (pg_current_wal_insert_lsn() - '0/0')::text as wal,
       (select count(*)::int from pg_stat_activity where application_name like 'caching-layer%') as connections`,
  )
  if (row === undefined) throw new Error('no row')
  return { xid: Number(row.xid), walBytes: Number(row.wal), connections: row.connections }
}
