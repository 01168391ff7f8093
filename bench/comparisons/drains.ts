import type { Bench } from '../bench.js'
import type { Comparison, Contender } from '../comparison.js'
import { costAtRest, untilIdle } from '../cost-at-rest.js'
import { Lifetime } from '../lifetime.js'
import { startSidecar } from '../sidecar.js'

const measuredMs = 60_000

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
      if (isIdle) await untilIdle(started)
      const cost = await costAtRest(server, database, measuredMs)
      await round.end()
      return cost
    },
  }
}
