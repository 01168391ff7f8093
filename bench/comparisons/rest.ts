import type { Bench } from '../bench.js'
import type { Comparison, Contender } from '../comparison.js'
import { costAtRest, untilIdle } from '../cost-at-rest.js'
import { startFleetServer } from '../fleet-server.js'
import { Lifetime } from '../lifetime.js'
import { type BenchSidecar, startSidecar } from '../sidecar.js'

export const restingSidecars = 50
const startedAtOnce = 5
const measuredMs = 30_000

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
      const cost = await costAtRest(server, database, measuredMs)
      await round.end()
      return cost
    },
  }
}
