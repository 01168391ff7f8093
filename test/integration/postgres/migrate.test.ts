import { readdir, readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { migrationFiles } from '../../../src/postgres/schema/migration-files.js'
import { migrationStatus } from '../../../src/postgres/schema/migration-status.js'
import { CliProcess } from '../../support/child-process.js'
import { cacheDatabase, freshDatabase, ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { guestOf } from '../../support/guest.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const facts = JSON.parse(await readFile(new URL('../contract/responses.json', import.meta.url), 'utf8')) as {
  table: string
  its_writes: [set: string, remove: string]
}
const names = await readdir(new URL('../../../sql/', import.meta.url))
const files = names.filter((name) => /^\d/.test(name)).sort()

t.test('the table of the original service is taken over in place', async (t) => {
  const { url, query } = await freshDatabase(t)
  await query(facts.table)
  const [set, remove] = facts.its_writes
  const rows = { plain: 'bar', '': 'empty key', empty: '', json: '{"a":1}', unicode: '漢字 😀\n' }
  for (const [key, value] of Object.entries(rows)) await query(set, [key, value])
  await query("update cache_entries set updated_at = '2001-02-03 04:05:06' where key = 'plain'")
  const { rows: before } = await query('select key, value, updated_at from cache_entries order by key')

  t.strictSame(await migrate(url), files)
  const { rows: after } = await query('select key, value, updated_at from cache_entries order by key')
  t.strictSame(after, before, 'the rows are kept')
  t.strictSame(await migrate(url), [], 'once is enough')

  const a = (await startLiveSidecar(t, { databaseUrl: url })).client
  const b = (await startLiveSidecar(t, { databaseUrl: url })).client
  for (const client of [a, b]) {
    t.strictSame((await client.get('plain')).body, { key: 'plain', value: 'bar', source: 'db' })
    for (const [key, value] of Object.entries(rows)) {
      if (key !== '') t.equal(await client.held(key), value, 'a string, as it was')
    }
  }
  const follow = async (key: string, value: unknown) => {
    for (const client of [a, b]) await eventually(async () => (await client.value(key)) === value)
  }
  await query(set, ['plain', 'changed by the original'])
  await follow('plain', 'changed by the original')
  await query(set, ['new', 'made by the original'])
  await follow('new', 'made by the original')
  await a.set('json', { now: 'JSON' })
  await eventually(async () => JSON.stringify(await b.value('json')) === '{"now":"JSON"}')
  await query(set, ['json', 'text again'])
  await follow('json', 'text again')
  await query(remove, ['plain'])
  await follow('plain', undefined)
})

t.test('ten processes can migrate at once', async (t) => {
  const { url, query } = await freshDatabase(t)
  const processes = Array.from({ length: 10 }, () => new CliProcess(t, ['migrate'], { DATABASE_URL: url }))
  const exits = await Promise.all(processes.map(({ exited }) => exited))
  for (const [index, { code }] of exits.entries()) t.equal(code, 0, processes[index]?.stderr ?? '')
  const applied = processes.flatMap(({ stdout }) => stdout.split('\n').filter((line) => line !== ''))
  t.strictSame(applied.sort(), files, 'each file was applied by one of them')
  const { rows } = await query<{ name: string }>('select name from cache_migrations order by name')
  t.strictSame(
    rows.map(({ name }) => name),
    files,
  )
  t.strictSame(
    (await migrationStatus(url)).map(({ state }) => state),
    files.map(() => 'applied'),
  )
})

t.test('ten sidecars can migrate at once', async (t) => {
  const { url } = await freshDatabase(t)
  const started = await Promise.all(
    Array.from({ length: 10 }, () => startLiveSidecar(t, { databaseUrl: url })),
  )
  const [first, last] = [started[0]?.client, started[9]?.client]
  await first?.set('a', 1)
  t.equal(await last?.value('a'), 1)
})

t.test('migrate --status and --dry-run change nothing', async (t) => {
  const { url, query } = await freshDatabase(t)
  const run = async (...args: string[]) => {
    const command = new CliProcess(t, ['migrate', ...args], { DATABASE_URL: url })
    const { code } = await command.exited
    return { code, stdout: command.stdout, stderr: command.stderr }
  }
  const tables = async () => (await query("select from pg_class where relname like 'cache%'")).rows.length
  const pending = files.map((file) => `pending    ${file}\n`).join('')
  t.strictSame(await run('--status'), { code: 0, stdout: pending, stderr: '' })
  const dry = await run('--dry-run')
  t.strictSame([dry.code, dry.stdout], [0, files.map((file) => `${file}\n`).join('')])
  t.match(dry.stderr, /nothing was changed/)
  t.equal(await tables(), 0)

  const applied = await run()
  t.strictSame([applied.code, applied.stdout], [0, files.map((file) => `${file}\n`).join('')])
  t.equal((await run('--status')).stdout, pending.replaceAll('pending ', 'applied '))
  const again = await Promise.all([run('--dry-run'), run()])
  t.strictSame(
    again.map(({ code, stdout }) => [code, stdout]),
    [
      [0, ''],
      [0, ''],
    ],
  )

  const wrong = [['--status', '--dry-run'], ['--what'], ['more']]
  for (const { code, stdout, stderr } of await Promise.all(wrong.map((args) => run(...args)))) {
    t.strictSame([code, stdout], [2, ''])
    t.match(stderr, /^caching-layer: .*\n$/, 'one line')
  }
})

t.test('an altered migration and one from a newer release are refused', async (t) => {
  const { url, query } = await cacheDatabase(t)
  await query("insert into cache_migrations (name, checksum) values ('9999_from_the_future.sql', 'x')")
  t.strictSame(await migrate(url), [], 'a newer release has been here: that is its affair')
  t.match((await migrationStatus(url)).at(-1), { name: '9999_from_the_future.sql', state: 'unknown' })
  await query("update cache_migrations set checksum = 'another' where name = $1", [files[0]])
  t.match((await migrationStatus(url))[0], { name: files[0], state: 'altered' })
  await t.rejects(migrate(url), { message: `sql/${files[0]} differs from what was applied to this database` })
})

t.test('files with CRLF are the same migrations', async (t) => {
  const files = await migrationFiles()
  const folder = t.testdir(
    Object.fromEntries(files.map(({ name, sql }) => [name, sql.replaceAll('\n', '\r\n')])),
  )
  t.strictSame(await migrationFiles(pathToFileURL(`${folder}/`)), files)

  // Before 0.2 their checksums were others.
  const { url, query } = await cacheDatabase(t)
  for (const { name, crlfChecksum } of files)
    await query('update cache_migrations set checksum = $2 where name = $1', [name, crlfChecksum])
  t.same(await migrate(url), [])
})

t.test('a migration that fails leaves nothing behind', async (t) => {
  const { url, query } = await freshDatabase(t)
  await query(
    'create table cache_entries (key text primary key, value text not null, updated_at timestamptz, version text)',
  )
  await t.rejects(migrate(url), {
    message: 'public.cache_entries has columns of another type than in sql/: version text',
  })
  const { rows } = await query("select from pg_class where relname in ('cache_version', 'cache_migrations')")
  t.equal(rows.length, 0)
})

t.test('a role without the right to create gets one clear line', async (t) => {
  const database = await freshDatabase(t)
  const { query } = database
  const { name, url: guestUrl } = await guestOf(t, await freshDatabase(t))
  const url = Object.assign(new URL(guestUrl), { pathname: `/${database.name}` }).href
  t.teardown(() => query(`drop owned by ${name}`))
  await query(facts.table)

  const command = new CliProcess(t, ['migrate'], { DATABASE_URL: url })
  t.match(await command.exited, { code: 1 })
  t.equal(command.stdout, '')
  t.match(
    command.stderr,
    /^caching-layer: the database role may not change the schema public .*--no-migrate\n$/,
  )

  const { log } = await startSidecar(t, { databaseUrl: url })
  const told = log.filter((line) => line.includes('the database role may not change the schema'))
  t.equal(told.length, 1, 'and so does the log of a sidecar')

  await migrate(database.url)
  await query(`grant select, insert, update, delete on cache_entries to ${name}`)
  await query(`grant select on sequence cache_version to ${name}`)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, migrate: false })
  t.match((await client.set('a', 1)).body, { ok: true, db_written: true }, 'it serves with --no-migrate')
  t.match((await client.delete('a')).body, { cache_removed: true, db_removed: true })
})

t.test('a role that may not apply a file is told which one, and why', async (t) => {
  const database = await freshDatabase(t)
  await database.query('revoke usage on language plpgsql from public')
  const { url } = await guestOf(t, database)
  await t.rejects(migrate(url), {
    message:
      /^the database role may not apply sql\/0001_cache_entries\.sql \(permission denied for language plpgsql\): run .*migrate/,
  })
  const { rows } = await database.query("select from pg_class where relname = 'cache_migrations'")
  t.equal(rows.length, 0)
})

t.test('a missing database is reported in one line', async (t) => {
  const { url, drop } = await freshDatabase(t)
  await drop()
  const commands = [[], ['--status']].map(
    (args) => new CliProcess(t, ['migrate', ...args], { DATABASE_URL: url }),
  )
  for (const command of commands) {
    t.match(await command.exited, { code: 1 })
    t.match(command.stderr, /^caching-layer: .*does not exist\n$/)
  }
})

t.test('migrate waits for a database that refuses connections', async (t) => {
  const server = await ownServer(t)
  const url = server.url()
  await server.stop()
  const command = new CliProcess(t, ['migrate'], { DATABASE_URL: url })
  await eventually(() => command.stderr !== '')
  t.match(command.stderr, /^waiting for the database, for up to 60 s: connect ECONNREFUSED .*\n$/)
  await server.start()
  t.match(await command.exited, { code: 0 })
  t.strictSame(command.stdout.trim().split('\n'), files)
  const waits = command.stderr.split('\n').filter((line) => line.startsWith('waiting'))
  t.ok(waits.length > 0)
  t.equal(new Set(waits).size, waits.length, 'each reason is said once')

  await server.stop()
  for (const args of [
    ['migrate', '--wait=1'],
    ['migrate', '--status', '--wait=0'],
  ]) {
    const bounded = new CliProcess(t, args, { DATABASE_URL: url })
    t.match(await bounded.exited, { code: 1 })
    t.match(bounded.stderr, /caching-layer: connect ECONNREFUSED/)
  }
  const wrong = new CliProcess(t, ['migrate', '--wait=soon'], { DATABASE_URL: url })
  t.match(await wrong.exited, { code: 2 })
})

t.test('the table is found by the search path, among others of its schema', async (t) => {
  const { url, query } = await freshDatabase(t)
  await query(
    `create schema app; create table app.cache_entries (key text primary key, value text not null, updated_at timestamp not null default now())`,
  )
  await query("insert into app.cache_entries values ('a', 'kept')")
  const inApp = new URL(url)
  inApp.searchParams.set('options', '-csearch_path=app,public')
  const { client } = await startLiveSidecar(t, { databaseUrl: inApp.href })
  t.equal(await client.held('a'), 'kept')
  const writer = new pg.Client({ connectionString: url })
  await writer.connect()
  t.teardown(() => writer.end())
  await writer.query("update app.cache_entries set value = 'changed'")
  await eventually(async () => (await client.value('a')) === 'changed')
})
