import { execFile, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual, promisify } from 'node:util'
import pg from 'pg'
import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { CliProcess, serve, untilLive } from '../../support/child-process.js'
import { freshDatabase, type Owner } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { bindFilmPage, filmTables } from '../../support/film-tables.js'
import { guestOf } from '../../support/guest.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const script = new URL('../../../sql/least-privilege.sql', import.meta.url)
const text = await readFile(script, 'utf8')

const database = await freshDatabase(t)
const { query } = database
const owner = await guestOf(t, database)
await migrate(owner.url)
// A database whose owner has revoked the default rights of everybody.
await query(`revoke all on database ${database.name} from public`)
await query('revoke all on schema public from public')
await query('revoke execute on all functions in schema public from public')
await query('create table others (secret text)')
await query("insert into others values ('secret')")

/** Returns the SQL with the names filled in as psql does. */
const asPsql = (name: string) =>
  text.replaceAll(":'role'", pg.escapeLiteral(name)).replaceAll(':"role"', pg.escapeIdentifier(name))

function newName(t: Owner): string {
  const name = `Test "${randomUUID()}"`
  t.teardown(async () => {
    await query(`drop owned by ${pg.escapeIdentifier(name)}`)
    await query(`drop role ${pg.escapeIdentifier(name)}`)
  })
  return name
}

const rights = async (name: string) =>
  (
    await query(
      `select relname as name, privilege_type as right from pg_class, aclexplode(relacl) join pg_roles on pg_roles.oid = grantee
       where rolname = $1 union all
       select relname || '.' || attname, privilege_type
       from pg_attribute join pg_class on pg_class.oid = attrelid, aclexplode(attacl) join pg_roles on pg_roles.oid = grantee
       where rolname = $1 union all
       select proname, privilege_type from pg_proc, aclexplode(proacl) join pg_roles on pg_roles.oid = grantee
       where rolname = $1 order by 1, 2`,
      [name],
    )
  ).rows

t.test('a role of sql/least-privilege.sql', async (t) => {
  const name = newName(t)
  await query(asPsql(name))
  await query(asPsql(name)) // again changes nothing
  const role = pg.escapeIdentifier(name)
  const password = randomUUID()
  await query(`alter role ${role} password '${password}'`)
  const url = Object.assign(new URL(database.url), { username: encodeURIComponent(name), password }).href

  await t.test('the role has the documented rights', async (t) => {
    t.same(
      (await rights(name)).map(({ name, right }) => `${right} ${name}`),
      [
        'EXECUTE cache_announce_revoked',
        'SELECT cache_bound_queries',
        'UPDATE cache_bound_queries.invalidations',
        'SELECT cache_bound_tables',
        'UPDATE cache_bound_tables.invalidations',
        'EXECUTE cache_channel',
        'EXECUTE cache_database_oid',
        'SELECT cache_dependencies',
        'EXECUTE cache_dependents',
        'DELETE cache_entries',
        'INSERT cache_entries',
        'SELECT cache_entries',
        'UPDATE cache_entries',
        'EXECUTE cache_epoch',
        'EXECUTE cache_epoch_of',
        'EXECUTE cache_forbidden_uses',
        'EXECUTE cache_history',
        'EXECUTE cache_invalidate_bound',
        'EXECUTE cache_knows_timeline',
        'DELETE cache_leases',
        'INSERT cache_leases',
        'SELECT cache_leases',
        'UPDATE cache_leases',
        'EXECUTE cache_lineage',
        'DELETE cache_marks',
        'INSERT cache_marks',
        'SELECT cache_marks',
        'SELECT cache_migrations',
        'DELETE cache_outbox',
        'SELECT cache_outbox',
        'EXECUTE cache_position',
        'EXECUTE cache_remove',
        'DELETE cache_sidecars',
        'INSERT cache_sidecars',
        'SELECT cache_sidecars',
        'UPDATE cache_sidecars',
        'INSERT cache_sweeper',
        'SELECT cache_sweeper',
        'UPDATE cache_sweeper',
        'EXECUTE cache_system_identifier',
        'EXECUTE cache_uses',
        'SELECT cache_version',
        'USAGE cache_version',
      ],
    )
  })

  await t.test('the role is sufficient for a sidecar', async (t) => {
    const { client, ops, log } = await startLiveSidecar(t, { databaseUrl: url, migrate: false })
    await t.test('reads, writes, deletes, and the feed', async (t) => {
      t.equal((await client.set('foo', { a: 1 })).body.db_written, true)
      t.same(await client.held('foo'), { a: 1 })
      await query("update cache_entries set value = 'by SQL' where key = 'foo'")
      await eventually(async () => (await client.value('foo')) === 'by SQL')
      t.equal((await client.request('GET', '/cache/get?key=foo&consistency=strong')).body.value, 'by SQL')
      t.match((await client.delete('foo')).body, { db_removed: true })
      t.equal((await client.get('foo')).status, 404)
    })

    await t.test('bound tables, as far as it may read them, and invalidation', async (t) => {
      const bound = new pg.Client({ connectionString: owner.url })
      await bound.connect()
      t.teardown(() => bound.end())
      await bound.query(
        "create table products (id int primary key, name text); insert into products values (1, 'one')",
      )
      await bound.query("select cache_bind('products', key => 'product:{id}', in_group => 'products')")
      await eventually(async () => (await client.get('product:1')).status === 503)
      await bound.query(`grant select on products to ${role}`)
      await query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like '%feed%'",
      )
      await eventually(async () => (await client.get('product:1')).status === 200)
      await bound.query("update products set name = 'another'")
      await eventually(async () =>
        isDeepStrictEqual(await client.value('product:1'), { id: 1, name: 'another' }),
      )
      await client.request('POST', '/cache/set', { body: { key: 'grouped', value: 1, groups: ['products'] } })
      t.match(await client.request('POST', '/v1/invalidate', { body: { groups: ['products'] } }), {
        status: 200,
        body: { removed: 1 },
      })
      const { rows } = await bound.query('select invalidations from cache_bound_tables')
      t.same(rows, [{ invalidations: '1' }])
      await bound.query("select cache_unbind('product:{id}')")
    })

    await t.test('bound queries, as far as it may read their tables', async (t) => {
      const bound = new pg.Client({ connectionString: owner.url })
      await bound.connect()
      t.teardown(() => bound.end())
      await bound.query(filmTables)
      await bound.query(bindFilmPage)
      await eventually(async () => (await client.get('film_page:1')).status === 503)
      await bound.query(`grant select on film, actor, film_actor to ${role}`)
      await bound.query("select cache_invalidate_prefix('film_page:')")
      await eventually(async () => (await client.get('film_page:1')).status === 200)
      await bound.query("update actor set name = 'Another'")
      await eventually(async () =>
        isDeepStrictEqual(await client.value('film_page:1'), { title: 'Film 1', actors: ['Another'] }),
      )
      await bound.query("select cache_unbind('film_page:{id}')")
    })

    await t.test('probes, and the usage of the notification queue', async (t) => {
      let before = Number.NEGATIVE_INFINITY
      await eventually(async () => {
        const ageMs = (await client.stats()).feed.lease_age_ms ?? 0
        const isRenewed = ageMs < before
        before = ageMs
        return isRenewed
      })
      t.match((await ops.request('GET', '/metrics')).text, /notification_queue_usage_ratio \d/)
      t.match((await ops.request('GET', '/readyz?verbose')).body, { status: 'ready' })
    })

    await t.test('pending writes, and revalidation', async (t) => {
      await client.set('before', 1)
      await client.held('before')
      await query(`alter role ${role} nologin`)
      await query('select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = $1', [name])
      await eventually(async () => (await client.set('kept', 2)).body.db_written === false)
      await client.delete('before')
      await query(`alter role ${role} login`)
      await eventually(async () => (await client.stats()).writes.pending_settled >= 2)
      const { rows } = await query("select key, value from cache_entries where key in ('kept', 'before')")
      t.same(rows, [{ key: 'kept', value: '2' }])
      t.ok((await client.stats()).feed.revalidations >= 2)
    })
    t.notMatch(log.join(''), /permission denied/)
  })

  await t.test('the role has no other rights', async (t) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    t.teardown(() => client.end())
    for (const sql of [
      'alter table cache_entries add column more text',
      'alter table cache_entries disable trigger cache_entries_2_stamp',
      'alter table cache_entries disable trigger all',
      'truncate cache_entries',
      'drop table cache_entries',
      'drop trigger cache_entries_2_stamp on cache_entries',
      'create trigger mine after insert on cache_entries for each row execute function cache_stamp()',
      'create index on cache_entries (value)',
      'create table mine ()',
      'create schema mine',
      'create temporary table mine ()',
      'create role mine',
      'select * from others',
      "select cache_bind('others', key => 'other:{secret}')",
      'update cache_bound_tables set group_name = null',
      'delete from cache_bound_tables',
      'delete from cache_bound_queries',
      'delete from cache_dependencies',
      'delete from cache_migrations',
      "select setval('cache_version', 1)",
      "set session_replication_role = 'replica'",
      "copy cache_entries to program 'true'",
      `alter role ${role} superuser`,
    ]) {
      await t.rejects(client.query(sql), { code: '42501' }, sql)
    }
  })

  await t.test('doctor accepts the role', async (t) => {
    const command = new CliProcess(t, ['doctor'], { DATABASE_URL: url })
    t.equal((await command.exited).code, 0, command.stdout)
  })

  await t.test(
    'without --no-migrate: it serves while nothing is pending, and else says so in one line',
    async (t) => {
      await untilLive(await serve(t, { DATABASE_URL: url }))
      const { rows } = await query(
        'delete from cache_migrations where name = (select max(name) from cache_migrations) returning *',
      )
      const told =
        /^public.cache_entries belongs to role ".*": run "caching-layer migrate" as that role, then start with --no-migrate$/
      const { log } = await serve(t, { DATABASE_URL: url })
      t.match(
        log.filter(({ msg }) => String(msg).startsWith('no change feed')),
        [{ reason: told }],
      )
      const about = log.filter((line) => /belongs to|denied|may not|migrat/.test(JSON.stringify(line)))
      t.equal(about.length, 1)
      await query('revoke select on cache_migrations from public')
      await query(`revoke select on cache_migrations from ${role}`)
      const command = new CliProcess(t, ['migrate'], { DATABASE_URL: url })
      t.equal((await command.exited).code, 1)
      t.match(
        command.stderr,
        /^caching-layer: the database role may not read public.cache_migrations.*--no-migrate\n$/,
      )
      await query(`grant select on cache_migrations to ${role}`)
      await query('insert into cache_migrations values ($1, $2, $3)', Object.values(rows[0] as object))
    },
  )

  await t.test('fewer rights have the effects that docs/how-to/secure.md describes', async (t) => {
    const documented = await readFile(new URL('../../../docs/how-to/secure.md', import.meta.url), 'utf8')
    const sql = [...documented.matchAll(/```sql\n(.*?)```/gs)].map(([, text = '']) =>
      text.replaceAll('cache_db', database.name).replaceAll('sidecar', role),
    )
    const locks = sql.find((text) => text.includes('revoke update, delete')) ?? t.fail()
    const objects = sql.find((text) => text.includes('lo_creat')) ?? t.fail()
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => undefined)
    await client.connect()
    t.teardown(() => client.end())
    const allowed = async (statement: string) => {
      try {
        await client.query('begin')
        await client.query(statement)
        return true
      } catch (error) {
        t.match(error, { code: '42501' }, statement)
        return false
      } finally {
        await client.query('rollback')
      }
    }
    const lock = 'lock table cache_entries in access exclusive mode'
    const large = ['select lo_creat(-1)', 'select lo_create(0)', "select lo_from_bytea(0, 'x')"]
    t.ok(await allowed(lock), 'what remains')
    for (const statement of large) t.ok(await allowed(statement), 'what remains')
    await query(`grant temporary on database ${database.name} to public`)
    t.ok(await allowed('create temporary table mine ()'), 'what remains')

    await query(String(objects))
    for (const statement of [...large, 'create temporary table mine ()'])
      t.notOk(await allowed(statement), statement)

    await query(String(locks))
    for (const mode of ['access exclusive', 'exclusive', 'share row exclusive', 'share'])
      t.notOk(await allowed(`lock table cache_entries in ${mode} mode`), mode)
    const sidecar = await startLiveSidecar(t, { databaseUrl: url, migrate: false })
    t.equal((await sidecar.client.set('foo', 1)).body.db_written, true)
    t.equal((await sidecar.client.set('foo', 2)).body.db_written, true)
    t.equal(await sidecar.client.held('foo'), 2)
    await query(`alter role ${role} nologin`)
    await query('select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = $1', [name])
    await eventually(async () => (await sidecar.client.set('foo', 3)).body.db_written === false)
    await query(`alter role ${role} login`)
    await eventually(async () => (await sidecar.client.stats()).writes.pending_settled >= 1)
    t.same((await query("select value from cache_entries where key = 'foo'")).rows, [{ value: '3' }])
  })
})

const psql = spawnSync('psql', ['--version']).error === undefined
t.test('psql can create the role as documented', { skip: !psql && 'psql is not installed' }, async (t) => {
  const [byUs, byPsql] = [newName(t), newName(t)]
  await query(asPsql(byUs))
  const options = ['--single-transaction', '--set', 'ON_ERROR_STOP=1', '--set', `role=${byPsql}`]
  await promisify(execFile)('psql', [
    ...options,
    '--no-psqlrc',
    '--file',
    fileURLToPath(script),
    database.url,
  ])
  t.same(await rights(byPsql), await rights(byUs))
  t.equal((await rights(byPsql)).length, 43)
})
