import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readRegularFile } from '../../../src/files/read-regular-file.js'
import { renameDurably } from '../../../src/files/rename-durably.js'

/** Returns how many files below a folder this process has open; 0 where the system does not tell. */
function openFilesIn(folder: string): number {
  const open = '/proc/self/fd'
  const names = process.platform === 'linux' ? readdirSync(open) : []
  return names.filter((name) => {
    try {
      return readlinkSync(join(open, name)).startsWith(folder)
    } catch {
      return false
    }
  }).length
}

t.test('the text of a regular file is read, and the file is closed', async (t) => {
  const folder = t.testdir({ text: 'é\n' })
  t.equal(readRegularFile(join(folder, 'text')), 'é\n')
  t.equal(openFilesIn(folder), 0)
})

t.test('a FIFO and a folder are refused, without waiting for a writer', async (t) => {
  const folder = t.testdir({ folder: {} })
  execFileSync('mkfifo', [join(folder, 'fifo')])
  for (const name of ['fifo', 'folder'])
    t.throws(() => readRegularFile(join(folder, name)), { message: 'it is not a regular file' }, name)
  t.equal(openFilesIn(folder), 0)
})

t.test('a file is renamed, and its folder is closed', async (t) => {
  const folder = t.testdir({ from: 'text' })
  await renameDurably(join(folder, 'from'), join(folder, 'to'))
  t.strictSame(readdirSync(folder), ['to'])
  t.equal(readFileSync(join(folder, 'to'), 'utf8'), 'text')
  t.equal(openFilesIn(folder), 0)
})
