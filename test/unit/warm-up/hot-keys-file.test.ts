import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { chmod, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { hotKeys } from '../../../src/warm-up/hot-keys.js'
import { HotKeysFile } from '../../../src/warm-up/hot-keys-file.js'
import { recordingLog } from '../../support/recording-log.js'

const newFile = (t: Test) => new HotKeysFile(join(t.testdir(), 'state', 'hot-keys'))

async function written(t: Test, keys: readonly string[]): Promise<HotKeysFile> {
  const file = newFile(t)
  await file.prepare()
  await file.write(keys)
  return file
}

t.test('keys are read back in their order', async (t) => {
  const file = await written(t, [])
  t.same(await file.read(10), [])
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme', minLength: 1 })), async (keys) => {
      await file.write(keys)
      t.same(await file.read(1_000), keys)
    }),
    { numRuns: 50 },
  )
  const odd = ['a\nb', '\u2028', '"', '\\', '\r', '💾', '"keys":3', ' ']
  await file.write(odd)
  t.same(await file.read(100), odd)
  t.same(await file.read(2), odd.slice(0, 2), 'no more than are wanted')
  const many = Array.from({ length: 30_000 }, (_, index) => `key:${index}:${'é'.repeat(index % 50)}`)
  await file.write(many)
  // Not by tap, which takes long to compare many.
  t.ok(isDeepStrictEqual(await file.read(many.length), many))
})

t.test('only this user may read the file, whatever was there before', async (t) => {
  const file = newFile(t)
  await mkdir(join(file.path, '..'))
  writeFileSync(`${file.path}.unfinished`, 'left by one that was killed')
  await chmod(`${file.path}.unfinished`, 0o666)
  await file.write(['a'])
  t.equal(statSync(file.path).mode & 0o777, 0o600)
  t.same(await readdir(join(file.path, '..')), ['hot-keys'])
})

t.test('a missing folder is created for this user only', async (t) => {
  const file = newFile(t)
  await file.prepare()
  t.equal(statSync(join(file.path, '..')).mode & 0o777, 0o700)
  t.same(await readdir(join(file.path, '..')), [])
})

t.test('an incomplete file is ignored and logged', async (t) => {
  const file = await written(t, ['alpha', 'beta', 'gamma'])
  const whole = readFileSync(file.path, 'utf8')
  const { log, logged } = recordingLog()
  const read = () => hotKeys(file, 10, log)
  const isRefused = async (content: string, reason: RegExp, what: string) => {
    logged.length = 0
    writeFileSync(file.path, content)
    t.same(await read(), [], what)
    t.match(logged, [{ level: 'warn', fields: { reason }, message: 'ignoring the list of hot keys' }], what)
    t.notMatch(JSON.stringify(logged), /alpha|beta|gamma/)
  }
  for (let length = 0; length < whole.length - 1; length++)
    await isRefused(whole.slice(0, length), /is not a list|is incomplete/, `cut off after ${length} bytes`)
  await isRefused(whole.replace('beta', 'bets'), /is incomplete/, 'a letter')
  await isRefused(whole.replace('"beta"\n', ''), /is incomplete/, 'a line less')
  await isRefused(whole.replace('"keys":3', '"keys":4'), /is incomplete/, 'the count')
  await isRefused(`${whole}"delta"\n`, /is incomplete/, 'something after the end')
  await isRefused(
    whole.replace('"format_version":1', '"format_version":2'),
    /has format version 2, and this release reads 1/,
    'another version',
  )
  for (const other of ['null\n', '{}\n', 'alpha\nbeta\n', '\0\0\0\0', '[1'])
    await isRefused(other, /is not a list of hot keys/, JSON.stringify(other))
  await isRefused('x'.repeat(1_000_000), /line is longer/, 'no line at all')
  truncateSync(file.path)
  t.same(await read(), [])
})

t.test('a missing file is normal; a folder in its place is logged', async (t) => {
  const { log, logged } = recordingLog()
  const file = newFile(t)
  t.same(await hotKeys(file, 10, log), [])
  t.match(logged, [{ level: 'info', message: 'there is no list of hot keys yet' }])
  await mkdir(file.path, { recursive: true })
  t.same(await hotKeys(file, 10, log), [])
  t.match(logged[1], { level: 'warn', fields: { reason: 'it is not a regular file' } })
})

t.test('anything but a regular file is refused at once and replaced', async (t) => {
  const file = await written(t, ['a'])
  for (const make of ['mkfifo', 'mkdir']) {
    await rm(file.path, { force: true, recursive: true })
    execFileSync(make, [file.path])
    await t.rejects(file.read(1), /not a regular file/, make)
  }
  await rm(file.path, { recursive: true })
  execFileSync('mkfifo', [file.path])
  execFileSync('mkfifo', [`${file.path}.unfinished`])
  await file.write(['b'])
  t.same(await file.read(1), ['b'])
})
