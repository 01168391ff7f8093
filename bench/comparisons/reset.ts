import { setTimeout as sleep } from 'node:timers/promises'
import type { Comparison } from '../comparison.js'
import { fill } from '../fill.js'
import { runClient, startClient } from '../load/load.js'
import { startSidecar } from '../sidecar.js'

const keys = 100_000
const changed = 1_000
const hitsPerSecond = 2_000
const liveWithinMs = 60_000

/** The listening connection is cut, and a hundredth of the rows changes before the sidecar listens again. */
export const reset: Comparison = {
  name: 'reset',
  about: `what becomes of ${keys.toLocaleString('en-US')} entries when the listening connection is cut`,
  rows: [
    {
      work: 'unchanged entries that survive a reset',
      figure: 'surviving',
      unit: 'of 1',
      of: 'sidecar',
      target: { atLeast: 1 },
    },
    {
      work: 'changed entries dropped',
      figure: 'dropped',
      unit: 'of 1',
      of: 'sidecar',
      target: { atLeast: 1 },
    },
    { work: 'reset to live again', figure: 'liveMs', unit: 'ms', of: 'sidecar' },
    { work: 'hit p99 meanwhile', figure: 'p99Ms', unit: 'ms', of: 'sidecar', against: 'before' },
  ],
  async open(bench) {
    const { url, query } = await bench.postgres.database({ rows: keys })
    const sidecar = await startSidecar(bench, {
      databaseUrl: url,
      environment: { CACHE_CAPACITY: String(keys) },
    })
    const { client, port } = sidecar
    await fill(sidecar, keys)
    // Among keys that do not change, so that every one of these is a hit.
    const hits = {
      ports: [port],
      connections: 8,
      work: { kind: 'random', keys: keys - changed },
      rate: hitsPerSecond,
    } as const
    return [
      {
        name: 'before',
        measure: async ({ seconds }) => ({ p99Ms: (await runClient({ ...hits, seconds })).p99Ms }),
      },
      {
        name: 'sidecar',
        measure: async ({ seconds }) => {
          await fill(sidecar, keys)
          const before = await client.stats()
          const load = startClient({ ...hits, seconds: Math.max(seconds, 5) })
          await sleep(1_000)
          const startMs = performance.now()
          const cut = await query(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name = 'caching-layer changes'`,
          )
          if (cut.length !== 1) throw new Error(`${cut.length} listening connections`)
          await query("update cache_entries set value = 'changed' where key = any($1)", [
            Array.from({ length: changed }, (_, index) => `key:${keys - index}`),
          ])
          for (;;) {
            const { feed } = await client.stats()
            if (feed.losses > before.feed.losses && feed.state === 'live') break
            if (performance.now() > startMs + liveWithinMs) throw new Error('the feed did not come back')
            await sleep(2)
          }
          const liveMs = performance.now() - startMs
          const { p99Ms } = await load.result
          const after = await client.stats()
          const dropped =
            after.feed.revalidation_drops -
            before.feed.revalidation_drops +
            after.invalidations -
            before.invalidations
          return {
            liveMs,
            p99Ms,
            surviving: 1 - Math.max(0, dropped - changed) / (keys - changed),
            dropped: Math.min(dropped, changed) / changed,
            misses: after.misses - before.misses,
          }
        },
      },
    ]
  },
}
