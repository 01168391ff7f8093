import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { Bench } from '../bench.js'
import { nextMessage } from '../child.js'
import type { Comparison, Figures } from '../comparison.js'
import type { Cores } from '../cores.js'
import { Lifetime } from '../lifetime.js'
import { monotonicMs } from '../monotonic.js'
import type { BenchDatabase } from '../postgres.js'
import { startProgram } from '../program.js'
import { type BenchSidecar, startSidecar } from '../sidecar.js'
import { quantile } from '../statistics.js'

const keys = 1_000
const fewest = 100
/**
 * Commits that do not count: both processes are new, and what Node compiles while it runs is compiled on their cores.
 */
const warmUp = 2_000
const heardWithinMs = 5_000

const row = { of: 'sidecar', against: 'bare client', unit: 'ms' } as const

/**
 * Both hear the same commits, so they are measured together, each with a core to itself; in the second half of each
 * round they have changed cores and the order in which they connect, which matter more than who they are. Counted from
 * COMMIT being sent to the notification event of the bare client, and to the moment at which the sidecar (watched from
 * within) no longer has the entry.
 */
export const commitToGone: Comparison = {
  name: 'commit-to-gone',
  about: 'how long after a commit by SQL another sidecar serves the old value',
  rows: [
    { ...row, work: 'commit to gone, p50', figure: 'p50Ms', target: { atMost: 1.3 } },
    { ...row, work: 'commit to gone, p99', figure: 'p99Ms', target: { atMost: 1.5 } },
  ],
  async open(bench) {
    const database = await bench.postgres.database({ rows: keys })
    let bare: Figures = {}
    return [
      {
        name: 'sidecar',
        measure: async ({ seconds }) => {
          const first = await hearTogether(bench, database, seconds / 2, true)
          const second = await hearTogether(bench, database, seconds / 2, false)
          bare = figuresOf([...first.bare, ...second.bare])
          return figuresOf([...first.sidecar, ...second.sidecar])
        },
      },
      { name: 'bare client', measure: async () => bare },
    ]
  },
}

interface Latencies {
  readonly sidecar: number[]
  readonly bare: number[]
}

async function hearTogether(
  bench: Bench,
  database: BenchDatabase,
  seconds: number,
  sidecarFirst: boolean,
): Promise<Latencies> {
  const round = new Lifetime()
  bench.teardown(() => round.end())
  const heard = { sidecar: new Map<string, number>(), bare: new Map<string, number>() }
  const starts = [
    () => startWatched(round, database, sidecarFirst ? 'server' : 'load', heard.sidecar),
    () => startListener(round, database, sidecarFirst ? 'load' : 'server', heard.bare),
  ] as const
  const first = sidecarFirst ? await starts[0]() : await starts[1]()
  const second = sidecarFirst ? await starts[1]() : await starts[0]()
  const { client } = (first ?? second) as BenchSidecar

  const writer = new pg.Client({ connectionString: database.url })
  await writer.connect()
  round.teardown(() => writer.end())
  // The disk is the same for both, and would hide the difference.
  await writer.query('set synchronous_commit = off')
  let count = 0
  const commit = async (pauseMs: number) => {
    const key = `key:${1 + (count % keys)}`
    await client.held(key)
    heard.sidecar.clear()
    heard.bare.clear()
    await writer.query('begin')
    await writer.query('update cache_entries set value = $2 where key = $1', [key, `value ${count++}`])
    await sleep(pauseMs)
    const sentMs = monotonicMs()
    await writer.query('commit')
    while (!heard.sidecar.has(key) || !heard.bare.has(key)) {
      if (monotonicMs() > sentMs + heardWithinMs) {
        const { losses } = (await client.stats()).feed
        throw new Error(
          `${key} was not heard of in time: by the sidecar ${heard.sidecar.has(key)}, by the bare client ${heard.bare.has(key)}; feed losses ${losses}`,
        )
      }
      await sleep(1)
    }
    const since = (heardMs: number | undefined) => (heardMs as number) - sentMs
    return { sidecar: since(heard.sidecar.get(key)), bare: since(heard.bare.get(key)) }
  }

  while (count < warmUp) await commit(0)
  const latencies: Latencies = { sidecar: [], bare: [] }
  const endMs = monotonicMs() + seconds * 1_000
  while (latencies.bare.length < fewest || monotonicMs() < endMs) {
    const { sidecar, bare } = await commit(1 + Math.random())
    latencies.sidecar.push(sidecar)
    latencies.bare.push(bare)
  }
  await round.end()
  return latencies
}

async function startWatched(
  round: Lifetime,
  { url }: BenchDatabase,
  on: keyof Cores,
  heard: Map<string, number>,
): Promise<BenchSidecar> {
  const sidecar = await startSidecar(round, { databaseUrl: url, on, inside: 'gone.mjs' })
  sidecar.onMessage((message) => heard.set(...(message as [string, number])))
  return sidecar
}

async function startListener(
  round: Lifetime,
  { url, channel }: BenchDatabase,
  on: keyof Cores,
  heard: Map<string, number>,
): Promise<undefined> {
  const program = fileURLToPath(new URL('../peers/listener.mjs', import.meta.url))
  const { child } = startProgram(round, [process.execPath, program], {
    on,
    ipc: true,
    environment: { DATABASE_URL: url, CHANNEL: channel },
  })
  await nextMessage(child)
  child.on('message', (message) => heard.set(...(message as [string, number])))
}

function figuresOf(latencies: readonly number[]): Figures {
  const sorted = [...latencies].sort((one, other) => one - other)
  return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99), commits: sorted.length }
}
