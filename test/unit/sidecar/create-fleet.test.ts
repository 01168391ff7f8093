import { hostname, networkInterfaces } from 'node:os'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { Stats } from '../../../src/core/stats.js'
import type { CacheStatus } from '../../../src/core/status.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { createFleet } from '../../../src/sidecar/create-fleet.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { recordingLog } from '../../support/recording-log.js'
import { turn } from '../../support/turn.js'

/** Starts the membership of a sidecar with these settings. Returns what its heartbeats say. */
function started(t: Test, environment: Readonly<Record<string, string>> = {}) {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const clock = new DrivenClock()
  const stats = new Stats()
  const status = { stats, leaseAgeMs: 12.6, size: 3, feed: 'live', idleInMs: Number.POSITIVE_INFINITY }
  const written: (readonly unknown[])[] = []
  const database = {
    read: async () => [{ obstacle: null, isReadOnly: false }],
    write: async (_text: string, values: readonly unknown[] = []) => {
      written.push(values)
      return []
    },
  } as never
  const schema = new SchemaName(database)
  schema.found('public')
  const fleet = createFleet({
    version: '1.2.3',
    config: loadConfig({ CACHE_FLEET_INTERVAL_MS: '60000', OPS_HOST: '127.0.0.1', ...environment }).config,
    cache: { status: () => status as CacheStatus },
    readiness: () => ({ status: 'degraded', reasons: [] }),
    opsPort: () => 9_090,
    database,
    schema,
    clock,
    log: recordingLog().log,
  })
  t.teardown(() => fleet.close())
  fleet.start()
  const heartbeat = async (afterMs: number) => {
    clock.advance(afterMs)
    mock.timers.tick(60_000)
    await turn()
    const [, version, host, address, pagePort, upSeconds, status, lagMs, hitRatio, readsPerSecond, entries] =
      written.at(-1) ?? []
    const numbers = { upSeconds, lagMs, hitRatio, readsPerSecond, entries }
    return { version, host, address, pagePort, status, ...numbers }
  }
  return { stats, status, heartbeat }
}

t.test('a sidecar announces its state, and where its page is', async (t) => {
  const { heartbeat } = started(t)
  t.strictSame(await heartbeat(0), {
    version: '1.2.3',
    host: hostname(),
    address: null,
    pagePort: 9_090,
    status: 'degraded',
    upSeconds: 0,
    lagMs: 13,
    hitRatio: null,
    readsPerSecond: 0,
    entries: 3,
  })
})

t.test('rates are those since the heartbeat before', async (t) => {
  const { stats, heartbeat } = started(t)
  await heartbeat(0)
  Object.assign(stats, { hits: 30, missesAbsent: 1, missesExpired: 2, missesUnproven: 3, missesRequested: 4 })
  t.match(await heartbeat(80_000), { hitRatio: 0.75, readsPerSecond: 0.5, upSeconds: 80 })
  stats.hits += 100
  t.match(await heartbeat(100_000), { hitRatio: 1, readsPerSecond: 1, upSeconds: 180 })
  t.match(await heartbeat(100_000), { hitRatio: null, readsPerSecond: 0 })
})

t.test('the age of the lease fits into its column, and is not known at first', async (t) => {
  const { status, heartbeat } = started(t)
  status.leaseAgeMs = Number.POSITIVE_INFINITY
  t.equal((await heartbeat(0)).lagMs, null)
  status.leaseAgeMs = 1e12
  t.equal((await heartbeat(100_000)).lagMs, 2 ** 31 - 1)
})

t.test('a sidecar without a page has no port', async (t) => {
  t.equal((await started(t, { CACHE_UI: 'off' }).heartbeat(0)).pagePort, null)
})

t.test('the address is the one that other machines reach', async (t) => {
  const outside = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ internal }) => !internal)
    .map(({ address }) => address)
  const told = (host: string, isRight: (address: unknown) => boolean) =>
    t.test(host, async (t) => {
      const { address } = await started(t, { OPS_HOST: host }).heartbeat(0)
      t.ok(isRight(address), String(address))
    })
  await told('10.1.2.3', (address) => address === '10.1.2.3')
  for (const host of ['localhost', '::1', '127.0.0.1']) await told(host, (address) => address === null)
  for (const host of ['0.0.0.0', '::'])
    await told(host, (address) =>
      outside.length === 0 ? address === null : outside.includes(String(address)),
    )
})
