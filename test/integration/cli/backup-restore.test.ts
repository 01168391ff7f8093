/** The output of `backup` and `restore`, which run in this process. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { backup } from '../../../src/cli/commands/backup.js'
import { restore } from '../../../src/cli/commands/restore.js'
import { commandRun } from '../../support/command-run.js'
import { cacheDatabase } from '../../support/database.js'

const database = await cacheDatabase(t)
await database.query("insert into cache_entries (key, value) select n, 'v' from generate_series(1, 1234) n")
await database.query("create table a (id int primary key); select cache_bind('a', 'a:{id}')")
const environment = { DATABASE_URL: database.url }
const file = join(t.testdir(), 'entries')

/** Runs a backup to stdout. Returns what it has written there as well. */
async function backedUp(...flags: readonly string[]) {
  const stdout = new PassThrough()
  const [run, written] = await Promise.all([
    commandRun(backup, { environment, flags, stdout: () => stdout }).finally(() => stdout.end()),
    buffer(stdout),
  ])
  return { ...run, written: written.toString() }
}

t.test('a backup tells how far it is, and what it has', async (t) => {
  const { code, out, notes, progress, written } = await backedUp()
  t.match({ code, out }, { code: 0, out: { length: 0 } })
  t.match(notes, [/^1,234 entries, 1 binding in \d+\.\d s$/])
  t.equal(progress.at(-1), '1,234 entries')
  t.match(written, /^\{"format":/)
  t.match(await backedUp('no-bindings'), { notes: [/^1,234 entries in \d+\.\d s$/] })
})

t.test('for scripts, the result is a line of stdout, or of stderr if stdout has the backup', async (t) => {
  const { out, notes, written } = await backedUp('json')
  t.strictSame(out, [])
  const [header = ''] = written.split('\n')
  const { taken_at: takenAt } = JSON.parse(header)
  const result = JSON.parse(notes.join())
  t.match(result, { entries: 1_234, bindings: 1, taken_at: takenAt, seconds: Number })
  t.ok(result.seconds > 0)
  const toFile = await commandRun(backup, { environment, flags: ['json'], values: { file } })
  t.strictSame(toFile.notes, [])
  t.match(JSON.parse(toFile.out.join()), { entries: 1_234, bindings: 1 })
  t.match(await readFile(file, 'utf8'), header.slice(0, 20))
})

t.test('a restore tells how far it is, and from when the backup is', async (t) => {
  const other = await cacheDatabase(t)
  await other.query('create table a (id int primary key)')
  const values = { file }
  const run = (...flags: readonly string[]) =>
    commandRun(restore, { environment: { DATABASE_URL: other.url }, values, flags })
  const first = await run()
  t.match(first, { code: 0, out: { length: 0 }, notes: [/^1,234 inserted, .*, 1 bound in \d+\.\d s$/] })
  t.strictSame(first.progress.slice(-2), [
    '1,234 entries read',
    'the backup is complete; writing to the table',
  ])
  const second = await run('json')
  t.strictSame(second.notes, [])
  const [header = ''] = (await readFile(file, 'utf8')).split('\n')
  const result = JSON.parse(second.out.join())
  t.match(result, {
    ...{ mode: 'merge', inserted: 0, unchanged: 1_234 },
    bindings: { bound: 0, refused: 0 },
    taken_at: JSON.parse(header).taken_at,
  })
  t.ok(result.seconds > 0)
})
