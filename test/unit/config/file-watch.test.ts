import { appendFile, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { FileWatch } from '../../../src/config/file-watch.js'
import { configMap } from '../../support/config-map.js'
import { eventually } from '../../support/eventually.js'

/** A watch that keeps what it found in the file each time it was touched. */
function watched(t: Test, path: string) {
  const seen: string[] = []
  let asked = Promise.resolve()
  const watch = new FileWatch({
    path,
    pollMs: 100,
    onTouched: () => {
      asked = asked.then(async () => {
        seen.push(await readFile(path, 'utf8').catch(() => 'gone'))
      })
    },
  })
  t.teardown(() => watch.close())
  watch.start()
  return {
    watch,
    seen,
    until: async (text: string) => t.ok(await eventually(() => seen.at(-1) === text), text),
  }
}

t.test('a file is watched', async (t) => {
  // Side by side, because each of them waits for polls.
  t.jobs = 10

  t.test('a change from before the watch began is reported', async (t) => {
    const path = join(t.testdir({ file: 'early' }), 'file')
    await watched(t, path).until('early')
  })

  t.test('an edit and a replacement of the file are reported', async (t) => {
    const folder = t.testdir({ file: 'a' })
    const path = join(folder, 'file')
    const { until } = watched(t, path)
    await until('a')
    await appendFile(path, 'b')
    await until('ab')
    await writeFile(join(folder, 'new'), 'c')
    await rename(join(folder, 'new'), path)
    await until('c')
  })

  t.test('the symlink swap of a ConfigMap is reported', async (t) => {
    const { path, swap } = await configMap(t.testdir(), 'settings.yaml', 'first')
    const { until } = watched(t, path)
    await until('first')
    await swap('second')
    await until('second')
    await swap('third')
    await until('third')
  })

  t.test('an edit behind a symlink into another folder is reported', async (t) => {
    const folder = t.testdir({ target: { file: 'a' }, file: t.fixture('symlink', 'target/file') })
    const { until } = watched(t, join(folder, 'file'))
    await until('a')
    await appendFile(join(folder, 'target', 'file'), 'b')
    await until('ab')
  })

  t.test('a file that is deleted with its folder, and created again, is watched again', async (t) => {
    const folder = join(t.testdir(), 'folder')
    const path = join(folder, 'file')
    const { until } = watched(t, path)
    await until('gone')
    await mkdir(folder)
    await writeFile(path, 'a')
    await until('a')
    await rm(folder, { recursive: true })
    await until('gone')
    await mkdir(folder)
    await writeFile(path, 'b')
    await until('b')
  })

  t.test('changes of other files in the folder are ignored', async (t) => {
    const folder = t.testdir({ file: 'a', other: '1' })
    const { seen, until } = watched(t, join(folder, 'file'))
    // Hears of the same events, after the first.
    const other = watched(t, join(folder, 'other'))
    await until('a')
    await other.until('1')
    await appendFile(join(folder, 'other'), '2')
    await symlink('other', join(folder, 'another'))
    await other.until('12')
    await appendFile(join(folder, 'file'), 'b')
    await until('ab')
    t.same(seen, ['a', 'ab'])
  })

  t.test('nothing is reported after close', async (t) => {
    const path = join(t.testdir({ file: 'a' }), 'file')
    const { watch, seen, until } = watched(t, path)
    await until('a')
    const other = watched(t, path)
    await other.until('a')
    await appendFile(path, 'b')
    watch.close()
    watch.close()
    await other.until('ab')
    await sleep(0)
    t.same(seen, ['a'])
  })
})

t.test('a watch does not keep the process alive', async (t) => {
  const before = process.getActiveResourcesInfo()
  const watch = new FileWatch({ path: join(t.testdir(), 'file'), onTouched: () => undefined })
  watch.start()
  t.strictSame(process.getActiveResourcesInfo(), before)
  watch.close()
})
