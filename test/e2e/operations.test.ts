import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { CliProcess, clientOf, serve, untilLive } from '../support/child-process.js'
import { cacheDatabase, freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'
import type { JsonClient } from '../support/json-client.js'
import { silentServer } from '../support/silent-server.js'

/** The status codes of the three probes. */
async function probes(ops: JsonClient): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {}
  for (const probe of ['livez', 'startupz', 'readyz']) {
    statuses[probe] = (await ops.request('GET', `/${probe}`)).status
  }
  return statuses
}

const verdict = async (ops: JsonClient) => (await ops.request('GET', '/readyz?verbose')).body

t.test('probes are answered before the first contact', async (t) => {
  const silent = await silentServer(t)
  const sidecar = new CliProcess(t, ['serve'], { DATABASE_URL: silent.url, PORT: '0', OPS_PORT: '0' })
  const ops = await clientOf(sidecar, 'answering probes')
  await eventually(() => silent.connections() > 0)
  t.strictSame(await probes(ops), { livez: 200, startupz: 503, readyz: 503 })
  t.match(await verdict(ops), {
    status: 'unready',
    reasons: [/not open yet/],
    feed: 'down',
    lease_age_ms: null,
  })

  await clientOf(sidecar, 'serving')
  t.strictSame(await probes(ops), { livez: 200, startupz: 200, readyz: 503 }, 'it serves, from nothing')
  t.match((await verdict(ops)).reasons, [/not caught up/])
})

t.test('an outage of the database is visible in the probes and the metrics', async (t) => {
  const guest = await guestOf(t, await freshDatabase(t))
  const environment = { DATABASE_URL: guest.url, CACHE_MAX_STALENESS_MS: '500' }
  const patient = await serve(t, environment)
  const strict = await serve(t, { ...environment, CACHE_READY_GRACE_MS: '0' })
  for (const sidecar of [patient, strict]) {
    await untilLive(sidecar)
    await eventually(async () => (await verdict(sidecar.ops)).status === 'ready')
    t.strictSame(await probes(sidecar.ops), { livez: 200, startupz: 200, readyz: 200 })
  }

  await guest.shutOut()
  await eventually(async () => (await strict.ops.request('GET', '/readyz')).status === 503)
  t.match(await verdict(strict.ops), { status: 'unready', reasons: [/ms old, more than 500 ms/] })
  const told = await eventually(async () => {
    const { status, reasons } = await verdict(patient.ops)
    return status === 'degraded' && /so reads go to the database/.test(String(reasons)) && reasons
  })
  t.match(told, [/not permitted to log in/], 'the reason in words')
  t.strictSame(await probes(patient.ops), { livez: 200, startupz: 200, readyz: 200 }, 'within the grace')
  await eventually(async () => (await patient.client.set('kept', 1)).body.db_written === false)
  t.match(await verdict(patient.ops), { pending_writes: 1 })

  await guest.letIn()
  for (const { ops } of [patient, strict])
    await eventually(async () => (await verdict(ops)).status === 'ready')
})

t.test('the operations listener reads and writes no values', async (t) => {
  const { url } = await cacheDatabase(t)
  const { ops, client } = await serve(t, { DATABASE_URL: url })
  await client.set('foo', 'bar')
  for (const path of ['/health', '/cache/get?key=foo', '/cache/stats', '/readyz/', '//livez']) {
    t.match(await ops.request('GET', path), { status: 404, body: { detail: 'Not Found' } }, path)
  }
  for (const method of ['POST', 'DELETE', 'OPTIONS']) {
    const answer = await ops.request(method, '/livez')
    t.match(answer, { status: 405, headers: { allow: 'GET, HEAD' } }, method)
  }
  const head = await ops.request('HEAD', '/livez')
  t.strictSame([head.status, head.text], [200, ''])
  t.equal((await client.request('GET', '/livez')).status, 404, 'nor are probes answered where values are')
})

t.test('healthcheck exits with the health of the sidecar', async (t) => {
  const check = async (environment: Record<string, string>) => {
    const command = new CliProcess(t, ['healthcheck'], environment)
    return [(await command.exited).code, command.stdout, command.stderr]
  }
  const silent = await silentServer(t)
  const sidecar = new CliProcess(t, ['serve'], { DATABASE_URL: silent.url, PORT: '0', OPS_PORT: '0' })
  const { base } = await clientOf(sidecar, 'answering probes')
  const alive = { OPS_PORT: new URL(base).port }
  t.strictSame(await check(alive), [0, 'alive\n', ''], 'without a database')
  t.strictSame(await check({ ...alive, OPS_HOST: '127.0.0.1' }), [0, 'alive\n', ''])

  const answering = (status: number | undefined) =>
    new Promise<Record<string, string>>((resolve) => {
      const server = createServer((_request, response) => {
        if (status !== undefined) response.writeHead(status).end()
      })
      t.teardown(() => {
        server.close()
        server.closeAllConnections()
      })
      server.listen(0, '127.0.0.1', () =>
        resolve({ OPS_PORT: String((server.address() as AddressInfo).port) }),
      )
    })
  const [none, ill, hung, unknown] = await Promise.all([
    check({ OPS_PORT: '1' }),
    check(await answering(500)),
    check(await answering(undefined)),
    check({ OPS_PORT: '0' }),
  ])
  t.match(none, [1, '', /^http:\/\/127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n$/])
  t.match(ill, [1, '', /^http:\/\/127.0.0.1:\d+: not a sidecar: the response is not JSON\n$/])
  t.match(hung, [1, '', /^http:\/\/127.0.0.1:\d+: no answer within 2000 ms\n$/])
  t.match(unknown, [2, '', /^caching-layer: OPS_PORT: .*\n$/])
})
