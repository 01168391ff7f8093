import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { migrate } from '../../src/postgres/schema/migrate.js'
import { backupText } from '../support/backup-text.js'
import { CliProcess } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { shell } from '../support/shell.js'
import { startLiveSidecar } from '../support/sidecar.js'

const folder = await mkdtemp(join(tmpdir(), 'caching-layer-backup-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const path = (name: string) => join(folder, name)

const database = await cacheDatabase(t)
const { url, query } = database
await migrate(url)
const count = 12_000
await query(
  "insert into cache_entries (key, value) select 'key ' || n, E'a\\tb\\n' || repeat('x', 100) || n from generate_series(1, $1::int) n",
  [count],
)

/** Returns a digest that is equal for tables with equal entries. */
async function digest(of = database): Promise<string> {
  const { rows } = await of.query<{ digest: string }>(
    `select md5(string_agg(row(key, value, content_type, expires_at, updated_at)::text, '' order by key)) as digest
     from cache_entries`,
  )
  return rows[0]?.digest ?? ''
}

/** Returns true if the COPY of a command has this wait event. */
async function sessions(waitsFor: string, name = database.name): Promise<boolean> {
  const { rows } = await query(
    `select from pg_stat_activity
     where datname = $1 and application_name ~ '^caching-layer (backup|restore)$' and wait_event = $2 and query ~ '^copy'`,
    [name, waitsFor],
  )
  return rows.length > 0
}

t.test('a backup on stdout can be restored from stdin', async (t) => {
  const other = await cacheDatabase(t)
  const script =
    'caching-layer backup --compress=gzip | DATABASE_URL=$TO caching-layer restore --mode=replace --json'
  const { code, stdout, stderr } = await shell(t, script, { DATABASE_URL: url, TO: other.url })
  t.equal(code, 0, stderr)
  const printed = JSON.parse(stdout)
  t.match(printed, { mode: 'replace', inserted: count, updated: 0, deleted: 0, unchanged: 0 })
  t.ok(printed.seconds > 0, 'it says how long it took')
  t.match(stderr, /^12,000 entries in \d+\.\d s\n$/)
  t.equal(await digest(other), await digest())
})

t.test(
  'through files; the end of the name decides, and the checksum is one that sha256sum knows',
  async (t) => {
    const other = await cacheDatabase(t)
    const script = `
    caching-layer backup --file=plain --json &&
    caching-layer backup --file=packed.gz 2>/dev/null &&
    test "$(gzip -dc packed.gz | wc -l)" = ${count + 3} && test "$(tail -n 1 plain | cut -d'"' -f8)" = "$(head -n -1 plain | sha256sum | cut -d' ' -f1)" &&
    ls && DATABASE_URL=$TO caching-layer restore --file=packed.gz && DATABASE_URL=$TO caching-layer restore <plain`
    const environment = { DATABASE_URL: url, TO: other.url }
    const { code, stdout, stderr } = await shell(t, `cd ${folder}; ${script}`, environment)
    t.equal(code, 0, stderr)
    const [json = '', ...names] = stdout.trim().split('\n')
    t.match(JSON.parse(json), { entries: count })
    t.strictSame(names, ['packed.gz', 'plain'])
    t.match(
      stderr,
      /^12,000 inserted, 0 updated, .*\n0 inserted, 0 updated, 0 deleted, 12,000 unchanged, .*\n$/,
    )
    t.notMatch(stderr, /bound/, 'the backup has no bindings')
    t.equal(await digest(other), await digest())
  },
)

t.test('an error is reported in one line, with its exit code', async (t) => {
  await writeFile(path('there'), 'precious')
  await writeFile(path('wrong'), backupText(['a\t1']).replace('a\t1', 'a\t2'))
  const nowhere = 'postgresql://someone:secret@127.0.0.1:1/none'
  const wrong: readonly (readonly [code: number, args: readonly string[], line: RegExp, at?: string])[] = [
    [2, ['backup', '--compress=best'], /--compress must be one of/],
    [2, ['backup', '--file='], /backup: --file must not be empty/],
    [2, ['backup', path('there')], /backup: /],
    [2, ['restore', '--mode=all'], /--mode must be one of/],
    [1, ['backup', `--file=${path('there')}`], /there exists; --force replaces it/],
    [1, ['backup', `--file=${path('no/folder')}`], /ENOENT/],
    [1, ['backup', `--file=${path('new')}`], /no connection to the database/, nowhere],
    [1, ['restore', `--file=${path('nothing')}`], /ENOENT/],
    [1, ['restore', `--file=${path('there')}`], /this is not a backup of caching-layer/],
    [1, ['restore'], /the backup is empty/],
    [1, ['restore', `--file=${path('wrong')}`], /no connection to the database/, nowhere],
    [1, ['restore', `--file=${path('wrong')}`], /the table is newer than the backup/],
  ]
  const started = wrong.map(([code, args, line, at = url]) => ({
    process: new CliProcess(t, args, { DATABASE_URL: at }),
    ...{ code, args, line },
  }))
  for (const { process, code, args, line } of started) {
    t.strictSame(await process.exited, { code, signal: null }, args.join(' '))
    t.match(process.stderr, /^caching-layer: .+\n$/)
    t.match(process.stderr, line)
    t.notMatch(process.stderr, 'secret')
    t.equal(process.stdout, '')
  }
  t.equal(await readFile(path('there'), 'utf8'), 'precious')
  t.notOk((await readdir(folder)).some((name) => name.startsWith('new')))
})

t.test('a truncated backup changes nothing', async (t) => {
  const before = await digest()
  const ways: readonly (readonly [cut: string, script: string])[] = [
    ['1 byte', 'caching-layer backup | head -c -1'],
    ['the last line', 'caching-layer backup | head -n -1'],
    ['the middle', 'caching-layer backup | sed 100d'],
    ['half of it, compressed', 'caching-layer backup --compress=gzip | head -c 20000'],
  ]
  const other = await cacheDatabase(t)
  for (const [cut, script] of ways) {
    const full = `(${script}) 2>/dev/null | DATABASE_URL=$TO caching-layer restore`
    const { code, stderr } = await shell(t, full, { DATABASE_URL: url, TO: other.url })
    t.equal(code, 1, cut)
    t.match(
      stderr,
      /^caching-layer: the (backup is truncated|backup was altered|compressed data is damaged).*\n$/,
    )
    t.equal((await other.query('select from cache_entries')).rows.length, 0)
  }
  t.equal(await digest(), before)
})

t.test('a closed stdout ends a backup', async (t) => {
  const script = 'caching-layer backup | head -c 10 >/dev/null'
  const { code, stderr } = await shell(t, script, { DATABASE_URL: url })
  t.equal(code, 1)
  t.equal(stderr, 'caching-layer: stdout was closed before the backup was complete\n')
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} during a backup to a file`, async (t) => {
    await rm(path('unfinished'), { force: true })
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    await other.query('begin; lock table cache_entries')
    const backup = new CliProcess(t, ['backup', `--file=${path('unfinished')}`], { DATABASE_URL: url })
    await eventually(() => sessions('relation'))
    t.ok((await readdir(folder)).some((name) => name.startsWith('unfinished')))
    backup.kill(signal)
    t.strictSame(await backup.exited, { code: 1, signal: null })
    t.equal(backup.stderr, 'caching-layer: stopped; nothing was changed\n')
    t.notOk((await readdir(folder)).some((name) => name.startsWith('unfinished')))
    await other.end()
  })
  t.test(`${signal} during a backup to a reader that has stopped reading`, async (t) => {
    const other = await cacheDatabase(t)
    // More than the buffers on the way take.
    await other.query(
      "insert into cache_entries (key, value) select n, repeat('x', 1000000) from generate_series(1, 20) n",
    )
    const backup = new CliProcess(t, ['backup'], { DATABASE_URL: other.url })
    backup.child.stdout?.pause()
    await eventually(() => sessions('ClientWrite', other.name))
    backup.kill(signal)
    backup.child.stdout?.resume()
    t.strictSame(await backup.exited, { code: 1, signal: null })
    t.equal(backup.stderr, 'caching-layer: stopped; nothing was changed\n')
  })
  t.test(`${signal} during a restore`, async (t) => {
    const other = await cacheDatabase(t)
    const restore = new CliProcess(t, ['restore'], { DATABASE_URL: other.url }, { stdin: 'pipe' })
    const { stdout } = await shell(t, 'caching-layer backup 2>/dev/null', { DATABASE_URL: url })
    restore.child.stdin?.on('error', () => undefined).write(stdout.slice(0, 1_000_000))
    await eventually(() => sessions('ClientRead', other.name))
    restore.kill(signal)
    t.strictSame(await restore.exited, { code: 1, signal: null })
    t.equal(restore.stderr, 'caching-layer: stopped; nothing was changed\n')
    await eventually(async () => !(await sessions('ClientRead', other.name)))
    t.equal((await other.query('select from cache_entries')).rows.length, 0)
  })
}

for (const many of [3, 10_001])
  t.test(`sidecars follow a restore of ${many} entries`, async (t) => {
    const other = await cacheDatabase(t)
    const options = { databaseUrl: other.url, ttlSeconds: 0, capacity: 100_000 }
    const started = [await startLiveSidecar(t, options), await startLiveSidecar(t, options)] as const
    const [one, two] = [started[0].client, started[1].client]
    const file = path(`followed-${many}.gz`)
    const run = async (...args: string[]) => {
      const command = new CliProcess(t, [...args, `--file=${file}`], { DATABASE_URL: other.url })
      t.strictSame(await command.exited, { code: 0, signal: null }, command.stderr)
    }
    await other.query(
      "insert into cache_entries (key, value) select 'by SQL ' || n, 'saved' from generate_series(1, $1::int) n",
      [many],
    )
    await one.set('same', 'saved')
    await one.set('changed', { saved: true })
    await one.set('gone', 'saved')
    await run('backup')

    await one.set('changed', 'later')
    await one.delete('gone')
    await two.set('new', 'later')
    await other.query("update cache_entries set value = 'later' where key like 'by SQL%'")
    for (const client of [one, two]) {
      await eventually(async () => (await client.value('by SQL 2')) === 'later')
      for (const key of ['same', 'changed', 'new', 'by SQL 2']) await client.held(key)
    }
    await run('restore', '--mode=replace')
    for (const client of [one, two]) {
      await eventually(async () => (await client.value('by SQL 2')) === 'saved')
      t.strictSame(await client.value('changed'), { saved: true })
      t.equal(await client.value('gone'), 'saved')
      t.equal(await client.value('new'), undefined)
      t.match((await client.get('same')).body, { value: 'saved', source: 'cache' }, 'what is equal stays')
    }
  })
