import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../bench.js'
import type { Comparison, Contender, Figures, Missing } from '../comparison.js'
import { load } from '../load/load.js'
import { pgbench, pgbenchMissing } from '../load/pgbench.js'
import { monotonicMs } from '../monotonic.js'
import { nodeHttp } from '../peers/peer.js'
import type { BenchDatabase } from '../postgres.js'
import { type BenchSidecar, startSidecar } from '../sidecar.js'
import { quantile } from '../statistics.js'
import { joinContenders, joinRows } from './joins.js'

const rows = 200_000
const table = (name: string) => `
  create table ${name} (id int primary key, name text not null, price numeric(10, 2) not null, stock int not null);
  insert into ${name} select n, repeat('x', 60), n / 100.0, n from generate_series(1, ${rows}) as n`
const select = `\\set n random(1, ${rows})
select id, name, price, stock from product where id = :n;
`
const update = (name: string) => `\\set n random(1, ${rows})
update ${name} set stock = stock + 1 where id = :n;
`
/** Rows of a large statement. */
const manyRows = 10_000
const updateMany = (name: string) => `\\set n random(1, ${rows - manyRows})
update ${name} set stock = stock + 1 where id > :n and id <= :n + ${manyRows};
`
const bindings = 10
/** Chosen so that a sidecar sends ten probes a second. */
const probeStalenessMs = 300
const probesPerSecond = 10
const fewestCommits = 50

/** Keys of a bulk read. */
const perRequest = 100
const missesOf = { work: 'GET miss, 64 connections', figure: 'missRate', unit: 'requests/s' } as const
const pgbenchClients = 'pgbench, 2 clients'
const bareHttp = 'node:http'

const hits = { work: 'GET hit, 32 connections', figure: 'hitRate', unit: 'requests/s' } as const
const gone = { unit: 'ms', of: 'bound table', against: 'bound table, notify' } as const
const ofNotify = { unit: 'ms', of: 'bound table, notify', against: 'cache_entries' } as const

/** A table of an application that is bound to keys, against entries, and against the same table without a binding. */
export const boundTables: Comparison = {
  name: 'bindings',
  about: 'rows of bound tables: hits, misses, and the price for those who write',
  rows: [
    { ...hits, of: 'bound table', against: 'cache_entries', target: { atLeast: 0.98 } },
    { ...missesOf, of: 'bound table', against: pgbenchClients, target: { atLeast: 0.9 } },
    { ...missesOf, of: bareHttp, against: pgbenchClients, remark: 'what HTTP alone allows' },
    {
      work: `misses of ${perRequest} keys in one request, 2 connections`,
      figure: 'bulkMissRate',
      unit: 'keys/s',
      of: 'bound table',
      against: pgbenchClients,
      target: { atLeast: 0.9 },
    },
    ...joinRows,
    ...[1, 16].flatMap((clients) =>
      (['writers of a bound table', 'writers of a bound table, notify'] as const).map((of) => ({
        work: `UPDATE of 1 row, ${clients} client${clients === 1 ? '' : 's'}`,
        figure: `updates${clients}`,
        unit: 'updates/s',
        of,
        against: 'writers of a bare table',
        ...(of === 'writers of a bound table' && { target: { atLeast: 0.75 } }),
      })),
    ),
    ...['writers of a bound table', 'writers of a bound table, notify'].map((of) => ({
      work: `UPDATE of ${manyRows.toLocaleString('en')} rows in one statement`,
      figure: 'updatesOfMany',
      unit: 'rows/s',
      of,
      against: 'writers of a bare table',
    })),
    { ...gone, work: 'commit to gone, p50', figure: 'goneP50Ms' },
    { ...gone, work: 'commit to gone, p99', figure: 'goneP99Ms' },
    { ...ofNotify, work: 'commit to gone, p50', figure: 'goneP50Ms' },
    { ...ofNotify, work: 'commit to gone, p99', figure: 'goneP99Ms' },
    {
      work: 'CPU of the server for a probe',
      figure: 'probeMs',
      unit: 'ms',
      of: `${bindings} bindings`,
      against: 'no binding',
    },
  ],
  async open(bench) {
    const database = await bench.postgres.database()
    await database.query(table('product'))
    await database.query(table('noted'))
    await database.query(table('bare'))
    await database.query("select cache_bind('product', key => 'key:{id}')")
    await database.query("select cache_bind('noted', key => 'noted:{id}', announce => 'notify')")
    await database.query('vacuum analyze product, noted, bare')
    const { url } = database
    // So few that a key which comes round again is long gone.
    const sidecar = await startSidecar(bench, {
      databaseUrl: url,
      environment: { CACHE_CAPACITY: '1000', CACHE_NEGATIVE_CAPACITY: '0' },
    })
    const [row] = await database.query<{ value: unknown }>(
      'select row_to_json(product) as value from product where id = 1',
    )
    await sidecar.client.set('ent:1', row?.value)
    let from = 0
    const many: (Contender | Missing)[] = [
      {
        name: 'bound table',
        measure: async ({ seconds }) => {
          const hit = await hitsOf(sidecar, 'key:1', seconds)
          const misses = await load({
            port: sidecar.port,
            connections: 64,
            seconds,
            work: { kind: 'walk', keys: rows, from },
          })
          from = (from + misses.requests + 64) % rows
          const bulk = await load({
            port: sidecar.port,
            connections: 2,
            seconds,
            work: { kind: 'bulk-walk', keys: rows, from, perRequest },
          })
          from = (from + (bulk.requests + 2) * perRequest) % rows
          return {
            hitRate: hit,
            missRate: misses.rate,
            bulkMissRate: bulk.rate * perRequest,
            ...(await goneOf(database, sidecar, 'product', seconds)),
          }
        },
      },
      {
        name: 'bound table, notify',
        measure: ({ seconds }) => goneOf(database, sidecar, 'noted', seconds),
      },
      {
        name: 'cache_entries',
        measure: async ({ seconds }) => ({
          hitRate: await hitsOf(sidecar, 'ent:1', seconds),
          ...(await goneOf(database, sidecar, 'cache_entries', seconds)),
        }),
      },
      await probes(bench, `${bindings} bindings`, bindings),
      await probes(bench, 'no binding', 0),
      ...(await joinContenders(bench)),
    ]
    for (const [name, updated] of [
      ['writers of a bound table', 'product'],
      ['writers of a bound table, notify', 'noted'],
      ['writers of a bare table', 'bare'],
    ] as const)
      many.push(
        pgbenchMissing
          ? { name, missing: pgbenchMissing }
          : {
              name,
              measure: async ({ seconds }) => ({
                updates1: (await pgbench({ url, script: update(updated), clients: 1, seconds })).rate,
                updates16: (await pgbench({ url, script: update(updated), clients: 16, seconds })).rate,
                updatesOfMany:
                  manyRows * (await pgbench({ url, script: updateMany(updated), clients: 1, seconds })).rate,
              }),
            },
      )
    const http = await nodeHttp(
      bench,
      JSON.stringify({ key: 'key:1', value: row?.value, source: 'database' }),
    )
    many.push(
      pgbenchMissing
        ? { name: pgbenchClients, missing: pgbenchMissing }
        : {
            name: pgbenchClients,
            measure: async ({ seconds }) => {
              const { rate } = await pgbench({ url, script: select, clients: 2, seconds })
              return { missRate: rate, bulkMissRate: rate }
            },
          },
      {
        name: bareHttp,
        measure: async ({ seconds }) => {
          const work = { kind: 'hit', path: '/' } as const
          return { missRate: (await load({ port: http.port, connections: 64, seconds, work })).rate }
        },
      },
    )
    return many
  },
}

async function hitsOf({ port, client }: BenchSidecar, key: string, seconds: number): Promise<number> {
  await client.held(key)
  const work = { kind: 'hit', path: `/cache/get?key=${key}` } as const
  return (await load({ port, connections: 32, seconds, work })).rate
}

/** Time from an acknowledged change until the sidecar answers with it, asked again and again. */
async function goneOf(
  { query }: BenchDatabase,
  { client }: BenchSidecar,
  name: 'product' | 'noted' | 'cache_entries',
  seconds: number,
): Promise<Figures> {
  const key = { product: 'key:2', noted: 'noted:2', cache_entries: 'gone:1' }[name]
  if (name === 'cache_entries') await client.set(key, { stock: 0 })
  const latencies: number[] = []
  // Not the value that the row has from the last round.
  const first = Date.now() % 1_000_000_000
  const endMs = monotonicMs() + seconds * 1_000
  for (let stock = first; latencies.length < fewestCommits || monotonicMs() < endMs; stock++) {
    await client.held(key)
    await (name === 'cache_entries'
      ? query('update cache_entries set value = $2 where key = $1', [key, JSON.stringify({ stock })])
      : query(`update ${name} set stock = $1 where id = 2`, [stock]))
    const changedMs = monotonicMs()
    while (((await client.value(key)) as { stock: number }).stock !== stock) await sleep(0)
    latencies.push(monotonicMs() - changedMs)
  }
  latencies.sort((one, other) => one - other)
  return { goneP50Ms: quantile(latencies, 0.5), goneP99Ms: quantile(latencies, 0.99) }
}

/** A sidecar that only sends probes, to a database with so many bindings. */
async function probes(bench: Bench, name: string, count: number): Promise<Contender> {
  const { url, query } = await bench.postgres.database()
  for (let index = 0; index < count; index++)
    await query(
      `create table t${index} (id int primary key); select cache_bind('t${index}', key => 't${index}:{id}')`,
    )
  return {
    name,
    measure: async ({ seconds }) => {
      const sidecar = await startSidecar(bench, {
        databaseUrl: url,
        environment: { CACHE_MAX_STALENESS_MS: String(probeStalenessMs) },
      })
      const before = await bench.postgres.cpuSeconds()
      await sleep(seconds * 1_000)
      const cpuMs = 1_000 * ((await bench.postgres.cpuSeconds()) - before)
      await sidecar.end()
      return { probeMs: cpuMs / (seconds * probesPerSecond) }
    },
  }
}
