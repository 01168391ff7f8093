import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../bench.js'
import type { Comparison, Contender } from '../comparison.js'
import { Lifetime } from '../lifetime.js'
import type { BenchDatabase } from '../postgres.js'
import { startSidecar } from '../sidecar.js'

const measuredMs = 60_000
/** Longer than a connection of the pool stays open without work, and than statistics of sessions at rest are late. */
const settleMs = 15_000
const idleWithinMs = 60_000

interface Case {
  readonly name: string
  readonly sidecars: number
  readonly isBound: boolean
  readonly isIdle?: true
}

const cases: readonly Case[] = [
  { name: '1 sidecar, no binding', sidecars: 1, isBound: false },
  { name: '1 sidecar, bound table', sidecars: 1, isBound: true },
  { name: '10 sidecars, no binding', sidecars: 10, isBound: false },
  { name: '10 sidecars, bound table', sidecars: 10, isBound: true },
  { name: '10 idle sidecars, bound table', sidecars: 10, isBound: true, isIdle: true },
]

/** Measures what drains of an empty outbox cost a database in which nothing changes. */
export const drains: Comparison = {
  name: 'drains',
  about: `a database in which nothing changes, for ${measuredMs / 1_000} s: what sidecars without requests cost it`,
  once: true,
  onlyWhenNamed: true,
  rows: cases.flatMap(({ name: of }) => [
    { work: 'transactions', figure: 'transactionsPerMinute', unit: 'per minute', of },
    { work: 'transaction ids used', figure: 'xidsPerMinute', unit: 'per minute', of },
    { work: 'WAL written', figure: 'walKiBPerMinute', unit: 'KiB/min', of },
    { work: 'PostgreSQL, of a core', figure: 'serverShare', unit: '%', of },
    { work: 'connections', figure: 'connections', unit: 'connections', of },
  ]),
  async open(bench) {
    return cases.map((one) => contender(bench, one))
  },
}

function contender(bench: Bench, { name, sidecars, isBound, isIdle }: Case): Contender {
  return {
    name,
    measure: async () => {
      const round = new Lifetime()
      bench.teardown(() => round.end())
      const server = await bench.postgres.another(round, {})
      const database = await server.database()
      if (isBound)
        await database.query(
          "create table item (id int primary key); select cache_bind('item', key => 'item:{id}')",
        )
      const environment = { CACHE_IDLE_AFTER_MS: isIdle ? '1000' : '0' }
      const started = await Promise.all(
        Array.from({ length: sidecars }, () =>
          startSidecar(
            { ...bench, teardown: (end) => round.teardown(end) },
            { databaseUrl: database.url, environment },
          ),
        ),
      )
      const endMs = performance.now() + idleWithinMs
      for (const { client } of isIdle ? started : [])
        while ((await client.stats()).feed.state !== 'idle') {
          if (performance.now() > endMs) throw new Error('a sidecar does not become idle')
          await sleep(100)
        }
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
      const perMinute = (figure: 'transactions' | 'xid' | 'walBytes') =>
        ((after[figure] - before[figure]) * 60) / seconds
      return {
        transactionsPerMinute: perMinute('transactions'),
        xidsPerMinute: perMinute('xid'),
        walKiBPerMinute: perMinute('walBytes') / 1_024,
        serverShare: ((cpuAfter - cpuBefore) * 100) / seconds,
        connections: after.connections,
      }
    },
  }
}

/** Takes no transaction id itself. */
async function look({ query }: BenchDatabase) {
  const [row] = await query<{ transactions: string; xid: string; wal: string; connections: number }>(
    `select (xact_commit + xact_rollback)::text as transactions, pg_snapshot_xmax(pg_current_snapshot())::text as xid,
       (pg_current_wal_insert_lsn() - '0/0')::text as wal,
       (select count(*)::int from pg_stat_activity where application_name like 'caching-layer%') as connections
     from pg_stat_database where datname = current_database()`,
  )
  if (row === undefined) throw new Error('no row')
  return {
    transactions: Number(row.transactions),
    xid: Number(row.xid),
    walBytes: Number(row.wal),
    connections: row.connections,
  }
}
