import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../bench.js'
import type { Comparison, Contender } from '../comparison.js'
import { startFleetServer } from '../fleet-server.js'
import { Lifetime } from '../lifetime.js'
import { startListeners } from '../listeners.js'
import { monotonicMs } from '../monotonic.js'
import { quantile } from '../statistics.js'
import { sidecarsOf, sizes } from './scaling.js'

const awayMs = 5_000
const backWithinMs = 30_000
/** Width of a bin of arrivals, in ms. */
const binMs = 100

/** Measures a restart of the server, which has as few connections as `doctor` allows. Times count from its return. */
export const restart: Comparison = {
  name: 'restart',
  about: `${sizes.join(', ')} sidecars come back after the server was away for ${awayMs / 1_000} s`,
  once: true,
  onlyWhenNamed: true,
  rows: sizes.flatMap((size) => {
    const of = sidecarsOf(size)
    return [
      { work: 'share that came back', figure: 'back', unit: 'of 1', of, target: { atLeast: 1 } },
      { work: 'half of them live', figure: 'halfMs', unit: 'ms', of },
      { work: 'all of them live', figure: 'allMs', unit: 'ms', of, target: { atMost: 10_000 } },
      {
        work: 'refused for lack of slots',
        figure: 'refused',
        unit: 'connections',
        of,
        target: { atMost: 0 },
      },
      { work: 'connections made', figure: 'made', unit: 'connections', of },
      { work: `most of them in ${binMs} ms`, figure: 'mostAtOnce', unit: 'connections', of },
    ]
  }),
  async open(bench) {
    return sizes.map((size) => contender(bench, size))
  },
}

function contender(bench: Bench, size: number): Contender {
  return {
    name: sidecarsOf(size),
    measure: async () => {
      const round = new Lifetime()
      bench.teardown(() => round.end())
      const { server, database } = await startFleetServer(bench, round, size)
      const listeners = await startListeners(round, 'sidecar feeds', size, database, { LOG_LEVEL: 'silent' })
      await untilLive(size)
      const logBefore = (await server.log()).length
      await listeners.forgetLive()
      await server.restart(awayMs)
      const readyMs = monotonicMs()
      const live = await untilLive(size)
      const log = (await server.log()).slice(logBefore)
      await round.end()
      const sinceReady = live.map((liveMs) => Math.max(0, liveMs - readyMs)).sort((one, other) => one - other)
      const arrivals = arrivalsIn(log)
      return {
        back: sinceReady.length / size,
        firstMs: quantile(sinceReady, 0),
        halfMs: quantile(sinceReady, 0.5),
        allMs: quantile(sinceReady, 1),
        refused: (log.match(/ 53300 /g) ?? []).length,
        made: arrivals.length,
        mostAtOnce: mostIn(arrivals),
      }

      async function untilLive(count: number): Promise<number[]> {
        const endMs = performance.now() + backWithinMs
        for (;;) {
          const live = await listeners.live()
          if (live.length >= count || performance.now() > endMs) return live
          await sleep(50)
        }
      }
    },
  }
}

/** Returns the moment of each connection, in ms. A line begins with the time, in seconds since 1970. */
function arrivalsIn(log: string): number[] {
  return Array.from(
    log.matchAll(/^(\d+\.\d+) .*connection received/gm),
    ([, seconds]) => Number(seconds) * 1_000,
  )
}

function mostIn(arrivals: readonly number[]): number {
  const bins = new Map<number, number>()
  for (const ms of arrivals) {
    const bin = Math.floor(ms / binMs)
    bins.set(bin, (bins.get(bin) ?? 0) + 1)
  }
  return Math.max(0, ...bins.values())
}
