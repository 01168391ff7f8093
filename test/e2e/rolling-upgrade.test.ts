/** Two upgrades and a rollback, sidecar by sidecar, while clients write and read through them. */
import t from 'tap'
import { balancer } from '../support/balancer.js'
import { CliProcess, type Served, serve, untilLive } from '../support/child-process.js'
import { freshDatabase } from '../support/database.js'
import { earlierRelease } from '../support/earlier-release.js'
import { guestOf } from '../support/guest.js'
import { UpgradeLoad } from '../support/upgrade-load.js'

const before = '0.1.0'
const maxStalenessMs = 1_000
const portOf = ({ client }: Served) => Number(new URL(client.base).port)

t.test('no request fails and no read is too old, during two upgrades and a rollback', async (t) => {
  const release = await earlierRelease(before)
  const database = await freshDatabase(t)
  const { url } = await guestOf(t, database)
  const migrate = async (options: { readonly release?: string }) => {
    const migrated = new CliProcess(t, ['migrate'], { DATABASE_URL: url }, options)
    t.equal((await migrated.exited).code, 0, migrated.stderr)
  }
  const start = async (options: { readonly release?: string }) => {
    const environment = {
      DATABASE_URL: url,
      CACHE_MAX_STALENESS_MS: String(maxStalenessMs),
      // Writes wait for the locks of the migration, however long it takes.
      DATABASE_TIMEOUT_MS: '60000',
    }
    const sidecar = await serve(t, environment, ['--no-migrate'], options)
    await untilLive(sidecar)
    return sidecar
  }
  const [old, present] = [{ release }, {}]

  await migrate(old)
  const fleet = [await start(old), await start(old)]
  const entrance = await balancer(t, fleet.map(portOf))
  const load = new UpgradeLoad(entrance.url, { counters: 4, maxStalenessMs })
  await load.progress(50)
  await migrate(present)
  for (const version of [present, old, present]) {
    for (const [index, previous] of fleet.entries()) {
      fleet[index] = await start(version)
      await load.progress(20)
      entrance.targets = fleet.map(portOf)
      // Requests to the previous one have been answered by then.
      await load.progress(1)
      previous.kill('SIGTERM')
      t.equal((await previous.exited).code, 0, previous.stderr)
      await load.progress(20)
    }
  }
  const last = await load.end()

  t.same(load.failures, [])
  t.same(load.violations, [])
  const { rows } = await database.query('select key, value from cache_entries order by key')
  t.equal(rows.length, last.size)
  for (const { key, value } of rows)
    t.ok(Number(value) >= (last.get(key) ?? Number.NaN), `${key}: what was acknowledged is in the database`)
  t.comment(`${load.requests} requests; ${load.lockedOut} writes waited too long for the migration`)
})
