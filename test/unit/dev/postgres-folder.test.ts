import { chown, mkdir, readlink, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { freshStart, postgresFolder } from '../../../src/dev/postgres-folder.js'

const ourUid = process.getuid?.() ?? 0
const skip = ourUid !== 0 && 'needs root'
const nobody = { uid: 65_534, gid: 65_534 }

t.test('a folder for the data is created, which only its owner may enter', async (t) => {
  const wanted = join(t.testdir(), 'a', 'b')
  t.equal(await postgresFolder(wanted), await realpath(wanted))
  t.equal((await stat(wanted)).mode & 0o777, 0o700)
  await writeFile(join(wanted, 'data'), '')
  t.equal(await postgresFolder(wanted), await realpath(wanted), 'one with data is used as it is')
})

t.test('a link is followed, and its folder is created if it is gone', async (t) => {
  const folder = t.testdir()
  await symlink('elsewhere', join(folder, 'link'))
  t.equal(await postgresFolder(join(folder, 'link')), await realpath(join(folder, 'elsewhere')))
})

t.test('an empty folder is given to the account', { skip }, async (t) => {
  const wanted = join(await realpath('/tmp'), `postgres-folder-${process.pid}`)
  await mkdir(wanted)
  t.teardown(() => rm(wanted, { recursive: true }))
  t.equal(await postgresFolder(wanted, nobody), wanted)
  const { uid, gid } = await stat(wanted)
  t.strictSame({ uid, gid }, nobody)
  t.equal(await postgresFolder(wanted, nobody), wanted, 'the next start finds it')
  await t.rejects(postgresFolder(wanted), {
    message:
      `the data folder ${wanted} belongs to uid 65534 and not to uid 0, which PostgreSQL runs as: ` +
      'remove it, or name another',
  })
})

t.test('a folder that the account cannot reach becomes a link to one that it can', { skip }, async (t) => {
  const closed = t.testdir({ home: {} })
  await mkdir(join(closed, 'closed'), { mode: 0o700 })
  const wanted = join(closed, 'closed', 'data')
  const places = join(await realpath('/tmp'), `postgres-folder-places-${process.pid}`)
  await mkdir(places)
  t.teardown(() => rm(places, { recursive: true }))
  const folder = await postgresFolder(wanted, nobody, places)
  t.match(folder, `${places}/caching-layer-postgres-`)
  t.equal(await readlink(wanted), folder)
  t.equal((await stat(folder)).uid, nobody.uid)
  t.equal(await postgresFolder(wanted, nobody, '/nonexistent'), folder)
})

t.test('data that the account cannot reach is left alone', { skip }, async (t) => {
  const folder = t.testdir()
  await mkdir(join(folder, 'closed', 'data'), { recursive: true, mode: 0o700 })
  const wanted = join(folder, 'closed', 'data')
  await writeFile(join(wanted, 'file'), '')
  await chown(wanted, nobody.uid, nobody.gid)
  await t.rejects(postgresFolder(wanted, nobody), {
    message:
      `the user postgres cannot reach the data in ${wanted}: ` +
      'open the folders above it to that user, or move it away',
    cause: { code: 'ENOTEMPTY' },
  })
})

t.test('a file in the place of a folder is named, with the cure', async (t) => {
  const folder = t.testdir({ file: '', closed: t.fixture('symlink', 'nowhere/else') })
  for (const [wanted, found] of [
    ['file', 'file'],
    ['file/postgres', 'file'],
    ['file/deep/postgres', 'file'],
    ['closed/postgres', 'closed'],
  ] as const)
    await t.rejects(
      postgresFolder(join(folder, wanted)),
      {
        message: `the data folder ${join(folder, wanted)} cannot be created: ${join(folder, found)} is not a folder; move it away or remove it`,
        cause: Error,
      },
      wanted,
    )
  await t.rejects(postgresFolder(join(folder, 'x'.repeat(300))), {
    message: /^the data folder .*x cannot be created: ENAMETOOLONG: /,
  })
})

t.test('the cure for damaged data names its folder, with its whole path', async (t) => {
  t.equal(freshStart('/data'), 'if the data is damaged, remove /data to start afresh without it')
  t.equal(freshStart('data'), freshStart(join(process.cwd(), 'data')))
})
