import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { createClient } from '../../clients/node/src/index.js'
import type { Bench } from '../bench.js'
import { nextMessage } from '../child.js'
import type { Comparison, Contender, Figures } from '../comparison.js'
import { measureFollowing } from '../following.js'
import type { BenchDatabase } from '../postgres.js'
import { startProgram } from '../program.js'
import { startSidecar } from '../sidecar.js'
import { quantile } from '../statistics.js'

const keys = 10_000
const fewestCommits = 100
const followers = 200
const changesPerSecond = 1_000

const row = {
  work: `${keys} values held, per second of CPU`,
  figure: 'perCpuSecond',
  unit: 'reads/s',
} as const
const gone = { of: 'commit to gone', unit: 'ms' } as const
const following = `${followers} followers`
const followed = { of: following } as const

/** Values in the application's own process: how fast they are read, and how soon a commit by SQL drops them. */
export const near: Comparison = {
  name: 'near',
  about: "values in the application's own process",
  rows: [
    { ...row, of: 'near.get()', against: 'lru-cache', target: { atLeast: 0.3 } },
    { ...row, of: 'await get()', against: 'lru-cache' },
    { ...row, of: 'near.get()', against: 'HTTP' },
    { ...row, of: 'await get()', against: 'HTTP', target: { atLeast: 50 } },
    { ...gone, work: 'commit to gone from a near cache, p50', figure: 'p50Ms' },
    { ...gone, work: 'commit to gone from a near cache, p99', figure: 'p99Ms' },
    {
      ...followed,
      work: `${following} of one sidecar: share of the changes delivered`,
      figure: 'delivered',
      unit: 'of 1',
      target: { atLeast: 1 },
    },
    {
      ...followed,
      work: `${following}: changes (${changesPerSecond} asked for)`,
      figure: 'rate',
      unit: 'keys/s',
      target: { atLeast: 0.99 * changesPerSecond },
    },
    {
      ...followed,
      work: `${following}: CPU time of the sidecar for a delivery`,
      figure: 'cpuPerDeliveryUs',
      unit: 'µs',
      remark: 'without what the changes cost it anyway',
    },
    {
      ...followed,
      work: `GET hit, 32 connections, while ${changesPerSecond} keys per second change`,
      figure: 'hits',
      unit: 'requests/s',
      against: 'no followers',
      remark: 'the load, the writes and the followers share a core',
    },
  ],
  async open(bench) {
    const database = await bench.postgres.database({ rows: 2 * keys })
    const { url } = await startSidecar(bench, { databaseUrl: database.url })
    const program = fileURLToPath(new URL('../inside/near-hits.mjs', import.meta.url))
    const { child } = startProgram(bench, [process.execPath, program], {
      on: 'load',
      ipc: true,
      environment: { URL: url, COUNT: String(keys) },
    })
    await nextMessage(child)
    const reading = (name: string) => ({
      name,
      measure: async ({ seconds }: { readonly seconds: number }): Promise<Figures> => {
        const answer = nextMessage<number>(child)
        child.send({ name, ms: seconds * 1_000 })
        return { perCpuSecond: await answer }
      },
    })
    return [
      ...['near.get()', 'await get()', 'lru-cache', 'HTTP'].map(reading),
      { name: 'commit to gone', measure: ({ seconds }) => commitToGone(bench, database, url, seconds) },
      ...(await followingContenders(bench)),
    ]
  },
}

/** The first one shows what the changes cost without followers. */
async function followingContenders(bench: Bench): Promise<readonly Contender[]> {
  const database = await bench.postgres.database({ rows: 1 })
  const sidecar = await startSidecar(bench, { databaseUrl: database.url })
  const writer = await startSidecar(bench, { databaseUrl: database.url, on: 'load' })
  const measure = (count: number, seconds: number) =>
    measureFollowing(bench, {
      followed: sidecar,
      hitPath: '/cache/get?key=key:1',
      writerPort: writer.port,
      followers: count,
      rate: changesPerSecond,
      seconds,
    })
  return [
    { name: 'no followers', measure: async ({ seconds }) => ({ ...(await measure(0, seconds)) }) },
    {
      name: following,
      measure: async ({ seconds, soFar }) => {
        const result = await measure(followers, seconds)
        const alone = soFar.get('no followers')?.cpuPerChangeUs as number
        return { ...result, cpuPerDeliveryUs: (result.cpuPerChangeUs - alone) / followers }
      },
    },
  ]
}

/** Measures from the moment at which COMMIT is sent to the one at which the near cache does not have the value. */
async function commitToGone(
  bench: Bench,
  database: BenchDatabase,
  url: string,
  seconds: number,
): Promise<Figures> {
  const client = createClient({ url, near: { maxEntries: keys, maxBytes: 1e9 } })
  const writer = new pg.Client({ connectionString: database.url })
  const end = () => Promise.all([client.close(), writer.end()])
  bench.teardown(end)
  await writer.connect()
  await writer.query('set synchronous_commit = off')
  const latencies: number[] = []
  const endMs = performance.now() + seconds * 1_000
  for (let count = 0; latencies.length < fewestCommits || performance.now() < endMs; count++) {
    // Not one of those that are read meanwhile.
    const key = `key:${keys + 1 + (count % keys)}`
    while (client.near?.get(key) === undefined) await client.get(key)
    await writer.query('begin')
    await writer.query('update cache_entries set value = $2 where key = $1', [key, `value ${count}`])
    const sentMs = performance.now()
    const committed = writer.query('commit')
    while (client.near.get(key) !== undefined) await new Promise(setImmediate)
    latencies.push(performance.now() - sentMs)
    await committed
  }
  await end()
  const sorted = latencies.sort((one, other) => one - other)
  return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99), commits: sorted.length }
}
