import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../bench.js'
import type { Comparison, Contender } from '../comparison.js'
import { fill } from '../fill.js'
import { startClient } from '../load/load.js'
import type { BenchDatabase } from '../postgres.js'
import { memoryOf } from '../process-usage.js'
import { type BenchSidecar, startSidecar } from '../sidecar.js'

const rows = 1_000_000
const held = 100_000
const perStatement = 5_000
const readsPerSecond = 2_000
const longestSeconds = 600

const one = 'one UPDATE of 1,000,000 rows'
const series = `${rows / perStatement} UPDATEs of 5,000 rows`

/** Reads at a constant rate of entries that the sidecar holds, while every row of the table changes. */
export const storm: Comparison = {
  name: 'storm',
  about: `${rows.toLocaleString('en-US')} rows change while reads go on`,
  once: true,
  rows: [one, series].flatMap((of) => [
    { work: 'read p99', figure: 'p99Ms', unit: 'ms', of, against: 'quiet' },
    { work: 'read max', figure: 'maxMs', unit: 'ms', of, against: 'quiet' },
    { work: 'reads not answered', figure: 'failed', unit: 'reads', of, target: { atMost: 0 } },
    { work: 'feed live, new values served', figure: 'live', unit: 'of 1', of, target: { atLeast: 1 } },
    { work: 'feed losses', figure: 'losses', unit: 'times', of, target: { atMost: 0 } },
    { work: 'revalidations', figure: 'revalidations', unit: 'times', of },
    { work: 'changes', figure: 'changesPerSecond', unit: 'rows/s', of },
    { work: 'resident memory at its most', figure: 'rssMostMiB', unit: 'MiB', of, against: 'quiet' },
  ]),
  async open(bench) {
    return [
      contender(bench, 'quiet', async () => {
        await sleep(10_000)
        return 0
      }),
      contender(bench, one, async ({ query }) => {
        await query("update cache_entries set value = 'new'")
        return rows
      }),
      contender(bench, series, async ({ query }) => {
        for (let first = 1; first <= rows; first += perStatement) {
          await query("update cache_entries set value = 'new' where key = any($1)", [
            Array.from({ length: perStatement }, (_, index) => `key:${first + index}`),
          ])
        }
        return rows
      }),
    ]
  },
}

function contender(
  bench: Bench,
  name: string,
  /** Resolves to how many rows it changed. */
  change: (database: BenchDatabase) => Promise<number>,
): Contender {
  return {
    name,
    measure: async () => {
      const database = await bench.postgres.database({ rows })
      const sidecar = await startSidecar(bench, {
        databaseUrl: database.url,
        environment: { CACHE_CAPACITY: String(held) },
      })
      await fill(sidecar, held)
      const before = await sidecar.client.stats()
      const load = startClient({
        ports: [sidecar.port],
        connections: 32,
        seconds: longestSeconds,
        work: { kind: 'random', keys: held },
        rate: readsPerSecond,
        countFromStart: true,
        mayFail: true,
      })
      const startMs = performance.now()
      const changed = await change(database)
      const changeSeconds = (performance.now() - startMs) / 1_000
      const live = await isUpToDate(sidecar, name === 'quiet' ? undefined : 'new')
      load.stop()
      const { p99Ms, maxMs, failed } = await load.result
      const after = await sidecar.client.stats()
      const { mostMiB } = memoryOf(sidecar.pids[0])
      await sidecar.end()
      return {
        p99Ms,
        maxMs,
        failed,
        live: live ? 1 : 0,
        losses: after.feed.losses - before.feed.losses,
        revalidations: after.feed.revalidations - before.feed.revalidations,
        invalidations: after.invalidations - before.invalidations,
        rssMostMiB: mostMiB,
        changesPerSecond: changed / changeSeconds,
      }
    },
  }
}

const sample = 200
const withinMs = 20_000

/** Is the feed live, and does a sample of the entries have the value that they should? */
async function isUpToDate({ client }: BenchSidecar, wanted: string | undefined): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs
  while ((await client.stats()).feed.state !== 'live') {
    if (performance.now() > deadlineMs) return false
    await sleep(20)
  }
  if (wanted === undefined) return true
  for (let index = 0; index < sample; index++) {
    if ((await client.value(`key:${1 + index * (held / sample)}`)) !== wanted) return false
  }
  return true
}
