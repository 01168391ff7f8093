/** Tests of sql/create-owner.sql, with which docker-compose.yml and k8s/overlays/dev create the owner of the cache. */
import { execFile, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { ownServer } from '../../support/database.js'

t.test('the SQL of create-owner.sql has one source', async (t) => {
  const [one, other] = await Promise.all(
    ['sql', 'k8s/overlays/dev'].map((folder) => readFile(`${folder}/create-owner.sql`, 'utf8')),
  )
  t.equal(one, other)
})

const psql = spawnSync('psql', ['--version']).error === undefined
t.test(
  'the owner is no superuser, and may migrate',
  { skip: !psql && 'psql is not installed' },
  async (t) => {
    const server = await ownServer(t)
    const run = promisify(execFile)
    await run('psql', ['--no-psqlrc', '--command', 'create database cache_db', server.url()])
    await run(
      'psql',
      ['--no-psqlrc', '--set', 'ON_ERROR_STOP=1', '--file', 'sql/create-owner.sql', server.url('cache_db')],
      { env: { ...process.env, CACHE_USER_PASSWORD: "it's secret" } },
    )
    const url = Object.assign(new URL(server.url('cache_db')), { username: 'cache_user' }).href
    t.ok((await migrate(url)).length > 0)
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    t.teardown(() => client.end())
    const { rows } = await client.query(
      `select rolsuper, rolcreaterole, rolcreatedb, rolbypassrls from pg_roles where rolname = current_user`,
    )
    t.same(rows, [{ rolsuper: false, rolcreaterole: false, rolcreatedb: false, rolbypassrls: false }])
    const { rows: owners } = await client.query(
      `select distinct pg_get_userbyid(proowner) as owner from pg_proc where pronamespace = 'public'::regnamespace`,
    )
    t.same(owners, [{ owner: 'cache_user' }])
  },
)
