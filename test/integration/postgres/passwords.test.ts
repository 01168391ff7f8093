/** Tests with a server that asks for passwords, and of the places where passwords are found. */
import { chmod, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { CliProcess } from '../../support/child-process.js'
import { ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { blamed } from '../../support/feed-reason.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const server = await ownServer(t)
const superuser = new pg.Client({ connectionString: server.url() })
await superuser.connect()
t.teardown(() => superuser.end())
const { rows } = await superuser.query<{ hba_file: string }>('show hba_file')
await writeFile(
  rows[0]?.hba_file as string,
  'host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n',
)
await superuser.query('select pg_reload_conf()')
await superuser.query("create role app login password 'first'")
await superuser.query('create database passwords owner app')
const { port } = new URL(server.url())
const url = `postgresql://app@127.0.0.1:${port}/passwords`

const isRefused = async () => {
  const client = new pg.Client({ connectionString: url.replace('@', ':wrong@') })
  return client.connect().then(
    () => client.end().then(() => false),
    () => true,
  )
}
await eventually(isRefused)

/** Sets a variable that the driver reads, until the test ends. */
function setVariable(t: Test, name: string, value: string): void {
  process.env[name] = value
  t.teardown(() => {
    delete process.env[name]
  })
}

for (const [variable, line] of Object.entries({
  PGPASSFILE: (password: string) => `127.0.0.1:${port}:passwords:app:${password}\n`,
  DATABASE_PASSWORD_FILE: (password: string) => `${password}\n`,
  DATABASE_URL_FILE: (password: string) => `${url.replace('@', `:${password}@`)}\n`,
})) {
  t.test(`a password that is rotated in ${variable} needs no restart`, async (t) => {
    const file = join(t.testdir(), 'secret')
    const replace = async (password: string) => {
      await writeFile(`${file}.new`, line(password), { mode: 0o600 })
      await rename(`${file}.new`, file)
      await superuser.query(`alter role app password '${password}'`)
    }
    await replace('before')
    if (variable === 'PGPASSFILE') setVariable(t, variable, file)
    const { config } = loadConfig(
      variable === 'DATABASE_URL_FILE' ? { [variable]: file } : { DATABASE_URL: url, [variable]: file },
    )
    const { client } = await startLiveSidecar(t, { ...config, port: 0, opsHost: '127.0.0.1', opsPort: 0 })
    t.match((await client.set('a', 1)).body, { db_written: true })
    await replace('after')
    const { losses } = (await client.stats()).feed
    await superuser.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
    await eventually(async () => {
      const { feed } = await client.stats()
      return feed.losses > losses && feed.state === 'live'
    })
    t.match((await client.set('a', 2)).body, { db_written: true })
  })
}

t.test('a missing password is reported as such', async (t) => {
  const file = join(t.testdir({ pgpass: `*:*:*:app:first\n` }), 'pgpass')
  await superuser.query("alter role app password 'first'")
  await chmod(file, 0o644)
  setVariable(t, 'PGPASSFILE', file)
  const sidecar = await startSidecar(t, { databaseUrl: url, migrate: false })
  await blamed(t, sidecar, /asks for a password, and none was given: .*PGPASSFILE/, /none was given/)
  t.match((await sidecar.client.get('a')).body.detail, /refuses the login: no password/)
  const doctor = new CliProcess(t, ['doctor'], { DATABASE_URL: url, PGPASSFILE: file })
  t.equal((await doctor.exited).code, 1)
  t.match(doctor.stdout, /none was given/)
  t.notMatch(doctor.stdout, /correct user and password/)
  const migrating = new CliProcess(t, ['migrate'], { DATABASE_URL: url, PGPASSFILE: file })
  t.equal((await migrating.exited).code, 1)
  t.match(migrating.stderr, /none was given/)
})

t.test('a wrong password is distinguished from a missing one', async (t) => {
  const sidecar = await startSidecar(t, { databaseUrl: url.replace('@', ':wrong@'), migrate: false })
  await blamed(t, sidecar, /password authentication failed/, /password authentication failed/)
})
