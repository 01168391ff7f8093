import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { serve, untilLive } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { proxyTo } from '../support/half-open-proxy.js'

t.test('after the machine slept, nothing from before is served as fresh', async (t) => {
  const database = await cacheDatabase(t)
  const proxy = await proxyTo(t, database.url)
  // The wall clock of the process goes on by an hour at a signal, as after a sleep, and the monotonic one does not.
  const folder = t.testdir({
    'preload.mjs': `
      const { now } = Date
      process.on('SIGUSR2', () => { Date.now = () => now() + 3_600_000 })`,
  })
  const sidecar = await serve(t, {
    DATABASE_URL: database.url,
    DATABASE_LISTEN_URL: proxy.url,
    NODE_OPTIONS: `--import=${pathToFileURL(join(folder, 'preload.mjs')).href}`,
    CACHE_MAX_STALENESS_MS: '60000',
    CACHE_TTL_SECONDS: '0',
  })
  await untilLive(sidecar)
  const { client } = sidecar
  await client.set('k', 'before')
  t.equal(await client.held('k'), 'before')
  // The link is dead, unnoticed: the change does not arrive.
  proxy.freeze()
  await database.query("update cache_entries set value = 'after' where key = 'k'")
  t.match((await client.get('k')).body, { value: 'before', source: 'cache' }, 'within the bound')
  sidecar.kill('SIGUSR2')
  await eventually(async () => Number((await client.stats()).feed.lease_age_ms) > 60_000)
  t.match((await client.get('k')).body, { value: 'after', source: 'db' })
  t.match(
    await eventually(() => sidecar.log.find(({ forMs, msg }) => forMs && /suspended/.test(String(msg)))),
    { level: 40 },
  )
})
