import { existsSync } from 'node:fs'
import { type FileHandle, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { BackupFile } from '../../../src/tools/backup/backup-file.js'

const folder = await mkdtemp(join(tmpdir(), 'caching-layer-backup-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
t.beforeEach(async () => {
  for (const name of await readdir(folder)) await rm(join(folder, name))
})
const path = join(folder, 'entries')

async function fill(file: BackupFile, text: string): Promise<void> {
  await pipeline(Readable.from([Buffer.from(text), Buffer.from('!')]), file.writable())
}

t.test('the file gets its name when it is complete', async (t) => {
  const file = await BackupFile.create(path, { force: false })
  await fill(file, 'new')
  t.notOk((await readdir(folder)).includes('entries'))
  await file.finish()
  await file.close()
  t.strictSame(await readdir(folder), ['entries'])
  t.equal(await readFile(path, 'utf8'), 'new!')
  t.equal((await stat(path)).mode & 0o777, 0o600, 'values may be private')
})

t.test('the content is on disk before the file has its name, and the name is before the end', async (t) => {
  const handle = await open(folder)
  await handle.close()
  const handles = Object.getPrototypeOf(handle) as FileHandle
  const { sync } = handles
  const synced: string[] = []
  t.teardown(() => Object.assign(handles, { sync }))
  handles.sync = async function (this: FileHandle) {
    const isFolder = (await this.stat()).isDirectory()
    synced.push(`${isFolder ? 'folder' : 'file'} ${existsSync(path) ? 'with' : 'without'} the name`)
    return sync.call(this)
  }
  const file = await BackupFile.create(path, { force: false })
  await fill(file, 'new')
  t.strictSame(synced, [])
  await file.finish()
  t.strictSame(synced, ['file without the name', 'folder with the name'])
})

t.test('a file that is complete or abandoned is closed', async (t) => {
  for (const way of ['finish', 'close'] as const) {
    const file = await BackupFile.create(path, { force: false })
    await fill(file, 'new')
    await file[way]()
    await t.rejects(fill(file, 'more'), { code: 'EBADF' }, way)
    await rm(path, { force: true })
  }
})

t.test('an existing file is kept', async (t) => {
  await writeFile(path, 'old')
  const message = `${path} exists; --force replaces it`
  await t.rejects(BackupFile.create(path, { force: false }), { message })
  t.strictSame(await readdir(folder), ['entries'])
})

t.test('a file that appears meanwhile is kept', async (t) => {
  const file = await BackupFile.create(path, { force: false })
  await fill(file, 'new')
  await writeFile(path, 'old')
  await t.rejects(file.finish(), { message: /exists/ })
  await file.close()
  t.strictSame(await readdir(folder), ['entries'])
  t.equal(await readFile(path, 'utf8'), 'old')
})

t.test('with force the file is replaced, at the end and not before', async (t) => {
  await writeFile(path, 'old')
  const file = await BackupFile.create(path, { force: true })
  await fill(file, 'new')
  t.equal(await readFile(path, 'utf8'), 'old')
  await file.finish()
  t.equal(await readFile(path, 'utf8'), 'new!')
})

t.test('an abandoned backup leaves no file', async (t) => {
  await writeFile(path, 'old')
  const file = await BackupFile.create(path, { force: true })
  await fill(file, 'new')
  await file.close()
  await file.close()
  t.strictSame(await readdir(folder), ['entries'])
  t.equal(await readFile(path, 'utf8'), 'old')
})

t.test('leftovers of a killed process with the same id are no obstacle', async (t) => {
  const left = `${path}.${process.pid}.unfinished`
  await writeFile(left, 'half')
  const file = await BackupFile.create(path, { force: false })
  await fill(file, 'new')
  await file.finish()
  t.equal(await readFile(path, 'utf8'), 'new!')
  t.equal(await readFile(left, 'utf8'), 'half')
})
