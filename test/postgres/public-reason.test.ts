import t from 'tap'
import { freshDatabase } from '../support/database.js'
import { startSidecar } from '../support/sidecar.js'

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
