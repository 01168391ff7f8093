import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

t.test('statistics, metrics and the readiness tell how many bindings can be used', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client, ops } = await startLiveSidecar(t, { databaseUrl: url })
  const told = async () => ({
    stats: (await client.request('GET', '/cache/stats')).body.bindings,
    metrics: [...(await ops.request('GET', '/metrics')).text.matchAll(/^caching_layer_bindings\{.*/gm)].map(
      String,
    ),
    ready: await ops.request('GET', '/readyz?verbose'),
  })
  t.match(await told(), {
    stats: { usable: 0, unusable: 0 },
    metrics: ['caching_layer_bindings{state="usable"} 0', 'caching_layer_bindings{state="unusable"} 0'],
    ready: { status: 200, body: { status: 'ready' } },
  })

  await query('create table products (id int primary key); create table reviews (id int primary key)')
  await query(
    "select cache_bind('products', key => 'product:{id}'), cache_bind('reviews', key => 'review:{id}')",
  )
  await eventually(async () => (await told()).metrics[0] === 'caching_layer_bindings{state="usable"} 2')
  t.match((await told()).ready.body, { status: 'ready', reasons: { length: 0 } })

  await query('drop table reviews')
  await query("update cache_bound_tables set group_name = 'any' where pattern = 'review:{id}'")
  await eventually(async () => (await told()).metrics[1] === 'caching_layer_bindings{state="unusable"} 1')
  t.match(await told(), {
    stats: { usable: 1, unusable: 1 },
    ready: {
      status: 200,
      body: {
        status: 'degraded',
        reasons: [
          '1 of 2 bindings cannot be used, so their keys get 503: review:{id}, because its table was dropped',
        ],
      },
    },
  })
})
