import type { Bench } from '../bench.js'
import type { Contender, Missing, Row } from '../comparison.js'
import { load } from '../load/load.js'
import { pgbench, pgbenchMissing } from '../load/pgbench.js'
import { startSidecar } from '../sidecar.js'

const pages = 100_000
const reviewsPerPage = 5
const tables = `
  create table product (id int primary key, name text not null, price numeric(10, 2) not null);
  create table review (id int primary key, product_id int not null, stars int not null, body text not null);
  insert into product select n, repeat('x', 60), n / 100.0 from generate_series(1, ${pages}) as n;
  insert into review
    select n, 1 + n % ${pages}, n % 5, repeat('y', 40) from generate_series(1, ${pages * reviewsPerPage}) as n;
  create index on review (product_id);`
const join = (id: string) =>
  `select name, price, stars, body from product join review on product_id = product.id where product.id = ${id}`

const ours = 'bound query'
const theirs = 'pgbench with the join, 2 clients'
const both = { unit: 'requests/s', of: ours, against: theirs } as const

export const joinRows: readonly Row[] = [
  { ...both, work: 'GET hit of a join, 32 connections', figure: 'joinHitRate' },
  { ...both, work: 'GET miss of a join, 64 connections', figure: 'joinMissRate' },
]

/** A join of two tables that keys are bound to, against the same join without a cache. */
export async function joinContenders(bench: Bench): Promise<(Contender | Missing)[]> {
  const { url, query } = await bench.postgres.database()
  await query(tables)
  await query('vacuum analyze product, review')
  await query(
    `select cache_bind_query('key:{id}', query => '${join('$1')}', many => true,
       depends => '{"public.product": "{id}", "public.review": "{product_id}"}')`,
  )
  const sidecar = await startSidecar(bench, { databaseUrl: url })
  const small = await startSidecar(bench, {
    databaseUrl: url,
    environment: { CACHE_CAPACITY: '1000', CACHE_NEGATIVE_CAPACITY: '0' },
  })
  let from = 0
  const script = `\\set n random(1, ${pages})\n${join(':n')};\n`
  return [
    {
      name: ours,
      measure: async ({ seconds }) => {
        await sidecar.client.held('key:1')
        const hit = { kind: 'hit', path: '/cache/get?key=key:1' } as const
        const hits = await load({ port: sidecar.port, connections: 32, seconds, work: hit })
        const walk = { kind: 'walk', keys: pages, from } as const
        const misses = await load({ port: small.port, connections: 64, seconds, work: walk })
        from = (from + misses.requests + 64) % pages
        return { joinHitRate: hits.rate, joinMissRate: misses.rate }
      },
    },
    pgbenchMissing
      ? { name: theirs, missing: pgbenchMissing }
      : {
          name: theirs,
          measure: async ({ seconds }) => {
            const { rate } = await pgbench({ url, script, clients: 2, seconds })
            return { joinHitRate: rate, joinMissRate: rate }
          },
        },
  ]
}
