import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../bench.js'
import type { Comparison, Contender } from '../comparison.js'
import { runClient } from '../load/load.js'
import { type BenchSidecar, startSidecar } from '../sidecar.js'

const keys = 100_000
const capacity = 20_000
const requestsPerSecond = 2_000
/** Time in seconds for which the sidecar is read from before the restart. */
const hotSeconds = 30
const firstSeconds = 10

/**
 * A sidecar that has been read from for a while is stopped and started: how many reads of the next ones does it serve?
 */
export const warmUp: Comparison = {
  name: 'warm-up',
  about: `the first ${firstSeconds} seconds after a restart, with CACHE_WARM=hot and without`,
  rows: [
    {
      work: `hits, first ${firstSeconds} s ready after a restart`,
      figure: 'hitRatio',
      unit: 'of 1',
      of: 'sidecar',
      against: 'not warmed',
      target: { atLeast: 1.1 },
    },
    {
      work: `fills, first ${firstSeconds} s ready after a restart`,
      figure: 'misses',
      unit: 'misses',
      of: 'sidecar',
      against: 'not warmed',
    },
    {
      work: 'start of the process to ready',
      figure: 'readyMs',
      unit: 'ms',
      of: 'sidecar',
      against: 'not warmed',
    },
  ],
  async open(bench) {
    const { url } = await bench.postgres.database({ rows: keys })
    const stateDir = await mkdtemp(join(tmpdir(), 'caching-layer-bench-state-'))
    bench.teardown(() => rm(stateDir, { recursive: true, force: true }))
    const hot = { CACHE_WARM: 'hot', CACHE_STATE_DIR: stateDir }
    return [restarted(bench, 'sidecar', url, hot), restarted(bench, 'not warmed', url, {})]
  },
}

function restarted(
  bench: Bench,
  name: string,
  databaseUrl: string,
  more: Readonly<Record<string, string>>,
): Contender {
  const environment = { CACHE_CAPACITY: String(capacity), ...more }
  let isFirst = true
  return {
    name,
    measure: async () => {
      if (isFirst) {
        const before = await startSidecar(bench, { databaseUrl, environment })
        await read(before, hotSeconds)
        await before.end()
        isFirst = false
      }
      const startMs = performance.now()
      const sidecar = await startSidecar(bench, { databaseUrl, environment })
      while ((await sidecar.ops.request('GET', '/readyz')).status !== 200) await sleep(5)
      const readyMs = performance.now() - startMs
      const { warmed } = await sidecar.client.stats()
      await read(sidecar, firstSeconds)
      const { hits, misses } = await sidecar.client.stats()
      // The requested keys go into its list, so that each round is warmed by the one before.
      await sidecar.end()
      return { hitRatio: hits / (hits + misses), misses, readyMs, warmed }
    },
  }
}

function read({ port }: BenchSidecar, seconds: number): Promise<unknown> {
  return runClient({
    ports: [port],
    connections: 16,
    seconds,
    work: { kind: 'zipf', keys, exponent: 1 },
    rate: requestsPerSecond,
  })
}
