import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { freshDatabase } from '../../support/database.js'
import { blamed } from '../../support/feed-reason.js'
import { guestOf } from '../../support/guest.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

t.test('/health and /readyz?verbose show no role, host or path', async (t) => {
  const { url } = await freshDatabase(t)
  const at = (changes: Partial<URL>) => Object.assign(new URL(url), changes).href
  for (const [databaseUrl, shown] of [
    [at({ username: 'role_of_nobody' }), /SQLSTATE 28/],
    [at({ pathname: '/database_of_nobody' }), /no such database \(SQLSTATE 3D000\)/],
    ['postgresql://role_of_nobody@127.0.0.1:1/db', /ECONNREFUSED/],
    ['postgresql://role_of_nobody@host.invalid/db', /ENOTFOUND|EAI_AGAIN/],
    ['postgresql://role_of_nobody@/db?host=/nowhere/of/nobody', /ENOENT/],
  ] as const) {
    const { client, ops, log } = await startSidecar(t, { databaseUrl, migrate: false })
    const health = (await client.request('GET', '/health')).text
    const ready = (await ops.request('GET', '/readyz?verbose')).text
    for (const text of [health, ready]) {
      t.match(text, shown)
      t.notMatch(text, /nobody|127\.0\.0\.1|invalid|nowhere/)
    }
    t.ok(
      log.some((line) => /nobody|127\.0\.0\.1|invalid|nowhere/.test(line)),
      'the log has it',
    )
  }
})

t.test('a refused or altered migration is reported without details', async (t) => {
  const database = await freshDatabase(t)
  const guest = await guestOf(t, database)
  await database.query('create schema authorization current_user')
  await database.query('revoke all on schema public from public')
  await database.query(`alter database ${database.name} owner to current_user`)
  const denied = await startSidecar(t, { databaseUrl: guest.url })
  await blamed(t, denied, /may not|schema/)
  await migrate(database.url)
  await database.query("update cache_migrations set checksum = 'another' where name like '0001%'")
  await blamed(
    t,
    await startSidecar(t, { databaseUrl: database.url }),
    /0001_\w+.sql differs from what was applied/,
  )
})

t.test('an empty URL file is reported without its path', async (t) => {
  const { url, query } = await freshDatabase(t)
  const file = join(t.testdir({ url }), 'url')
  const { config } = loadConfig({ DATABASE_URL_FILE: file })
  await migrate(url)
  const sidecar = await startLiveSidecar(t, { ...config, port: 0, opsPort: 0, opsHost: '127.0.0.1' })
  await writeFile(file, '')
  await query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'caching-layer changes' and datname = current_database()",
  )
  await blamed(t, sidecar, /url: is empty/)
})
