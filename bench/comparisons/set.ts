import type { Comparison, Contender, Missing } from '../comparison.js'
import { load } from '../load/load.js'
import { pgbench, pgbenchMissing } from '../load/pgbench.js'
import { nodeHttpPg } from '../peers/peer.js'
import type { BenchDatabase } from '../postgres.js'
import { startSidecar } from '../sidecar.js'

const keys = 100_000
const valueBytes = 100
/** Recorded rate of the original Python service. */
const originalRate = 272

/** The statement of src/postgres/store/store.ts, for one row. */
const upsert = (key: string, value: string) => `
insert into cache_entries (key, value, content_type) values (${key}, ${value}, null)
on conflict (key) do update
  set value = excluded.value, content_type = excluded.content_type, updated_at = now(), expires_at = null
returning key, version`
const script = `\\set n random(1, ${keys})${upsert("'key:' || :n::text", `'${'x'.repeat(valueBytes)}'`)};\n`

const row = { figure: 'rate', unit: 'acknowledged/s' } as const
const latency = {
  work: 'SET, 1 connection, latency p50',
  figure: 'p50Ms',
  unit: 'ms',
  of: 'sidecar, 1',
} as const

/** Both write to one table with its triggers, under keys at random, all of which are there. */
export const set: Comparison = {
  name: 'set',
  about: 'a write that PostgreSQL has acknowledged',
  rows: [
    {
      ...row,
      work: 'SET, 16 connections',
      of: 'sidecar, 16',
      against: 'pgbench, 16',
      target: { atLeast: 3 },
    },
    {
      ...row,
      work: 'SET, 64 connections',
      of: 'sidecar, 64',
      against: 'pgbench, 64',
      target: { atLeast: 8 },
    },
    {
      ...row,
      work: 'SET, 64 connections',
      of: 'sidecar, 64',
      against: 'original',
      target: { atLeast: 25 },
      remark: `recorded: ${originalRate}/s`,
    },
    { ...row, work: 'SET, 64 connections', of: 'sidecar, 64', against: 'node:http and pg, 64' },
    { ...latency, against: 'pgbench, 1', target: { atMost: 1.6 } },
    { ...latency, against: 'node:http and pg, 1' },
  ],
  async open(bench) {
    const database = await bench.postgres.database({ rows: keys, valueBytes })
    const sidecar = await startSidecar(bench, { databaseUrl: database.url })
    const bare = await nodeHttpPg(bench, database.url, upsert('$1', '$2'))
    const over = (name: string, port: number, connections: number): Contender => ({
      name: `${name}, ${connections}`,
      measure: async ({ seconds }) => {
        await settle(database)
        const { rate, p50Ms } = await load({
          port,
          connections,
          seconds,
          work: { kind: 'set', keys, valueBytes },
        })
        return { rate, p50Ms }
      },
    })
    const contenders: (Contender | Missing)[] = []
    for (const connections of [16, 64, 1]) {
      contenders.push(
        over('sidecar', sidecar.port, connections),
        pgbenchMissing
          ? { name: `pgbench, ${connections}`, missing: pgbenchMissing }
          : {
              name: `pgbench, ${connections}`,
              measure: async ({ seconds }) => {
                await settle(database)
                return pgbench({
                  url: database.url,
                  script,
                  clients: connections,
                  seconds,
                  withLatencies: connections === 1,
                })
              },
            },
        over('node:http and pg', bare.port, connections),
      )
    }
    return [...contenders, { name: 'original', measure: async () => ({ rate: originalRate }) }]
  },
}

/** Nobody pays for what the one before has left behind. */
async function settle(database: BenchDatabase): Promise<void> {
  await database.query('vacuum cache_entries')
  await database.query('checkpoint')
}
