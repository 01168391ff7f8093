import type { Comparison } from '../comparison.js'
import { load } from '../load/load.js'
import { pgbench, pgbenchMissing } from '../load/pgbench.js'
import { startSidecar } from '../sidecar.js'

const keys = 1_000_000

const select = `\\set n random(1, ${keys})
select value, content_type, version, expires_at from cache_entries where key = 'key:' || :n::text;
`

/** Every key is new to the sidecar and present in the table. */
export const miss: Comparison = {
  name: 'miss',
  about: 'a value that only the database has',
  rows: [
    {
      work: 'GET miss, 64 connections',
      figure: 'rate',
      unit: 'requests/s',
      of: 'sidecar',
      against: 'pgbench, 2 clients',
      target: { atLeast: 1 },
    },
  ],
  async open(bench) {
    const { url } = await bench.postgres.database({ rows: keys })
    // So few that a key which comes round again is long gone.
    const sidecar = await startSidecar(bench, { databaseUrl: url, environment: { CACHE_CAPACITY: '1000' } })
    let from = 0
    return [
      {
        name: 'sidecar',
        measure: async ({ seconds }) => {
          const { requests, rate, p99Ms } = await load({
            port: sidecar.port,
            connections: 64,
            seconds,
            work: { kind: 'walk', keys, from },
          })
          from = (from + requests + 64) % keys
          const { hits } = await sidecar.client.stats()
          if (hits > 0) throw new Error(`${hits} of the reads were hits`)
          return { rate, p99Ms }
        },
      },
      pgbenchMissing
        ? { name: 'pgbench, 2 clients', missing: pgbenchMissing }
        : {
            name: 'pgbench, 2 clients',
            measure: ({ seconds }) => pgbench({ url, script: select, clients: 2, seconds }),
          },
    ]
  },
}
