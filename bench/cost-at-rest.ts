import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchDatabase, BenchPostgres } from './postgres.js'
import type { BenchSidecar } from './sidecar.js'

/** Longer than a connection of the pool stays open without work, and than statistics of sessions at rest are late. */
const settleMs = 15_000
const idleWithinMs = 60_000

/** Resolves when all sidecars are idle. */
export async function untilIdle(sidecars: readonly BenchSidecar[]): Promise<void> {
  const endMs = performance.now() + idleWithinMs
  for (const { client } of sidecars) {
    while ((await client.stats()).feed.state !== 'idle') {
      if (performance.now() > endMs) throw new Error('a sidecar does not become idle')
      await sleep(100)
    }
  }
}

/** Measures for this time what sidecars without requests cost their server. Lets them settle before. */
export async function costAtRest(
  server: Pick<BenchPostgres, 'cpuSeconds'>,
  database: BenchDatabase,
  measuredMs: number,
) {
  await sleep(settleMs)
  const [before, cpuBefore, startMs] = [await look(database), await server.cpuSeconds(), performance.now()]
  await sleep(measuredMs)
  const [after, cpuAfter] = [await look(database), await server.cpuSeconds()]
  const seconds = (performance.now() - startMs) / 1_000
  const perMinute = (figure: 'transactions' | 'xid' | 'walBytes') =>
    ((after[figure] - before[figure]) * 60) / seconds
  return {
    transactionsPerMinute: perMinute('transactions'),
    xidsPerMinute: perMinute('xid'),
    walKiBPerMinute: perMinute('walBytes') / 1_024,
    serverShare: ((cpuAfter - cpuBefore) * 100) / seconds,
    connections: after.connections,
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
