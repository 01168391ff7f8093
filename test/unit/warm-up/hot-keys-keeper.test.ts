import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mock } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { HotKeysFile } from '../../../src/warm-up/hot-keys-file.js'
import { HotKeysKeeper } from '../../../src/warm-up/hot-keys-keeper.js'
import { eventually } from '../../support/eventually.js'
import { Gate } from '../../support/gate.js'
import { recordingLog } from '../../support/recording-log.js'
import { turn } from '../../support/turn.js'

function keeping(t: Test, { folder = t.testdir(), intervalMs = 10 } = {}) {
  const file = new HotKeysFile(join(folder, 'state', 'hot-keys'))
  const held = ['a']
  const { log, logged } = recordingLog()
  const disk = { isReady: Promise.resolve() }
  let lists = 0
  const heldKeys = async () => {
    lists++
    const keys = [...held]
    await disk.isReady
    return keys
  }
  const keeper = new HotKeysKeeper({ file, cache: { heldKeys }, log, intervalMs })
  t.teardown(() => keeper.close())
  return { file, held, disk, keeper, logged, read: () => file.read(100), lists: () => lists }
}

t.test('the list follows the entries in memory and is written once more at the end', async (t) => {
  const { held, keeper, read, lists } = keeping(t)
  keeper.start()
  await eventually(async () => (await read())?.join() === 'a')
  held.unshift('b')
  await eventually(async () => (await read())?.join() === 'b,a')
  held.unshift('c')
  await keeper.close()
  t.same(await read(), ['c', 'b', 'a'])
  held.unshift('d')
  const before = lists()
  await keeper.close()
  // Its timer would fire before this one.
  await sleep(20)
  t.equal(lists(), before)
  t.same(await read(), ['c', 'b', 'a'], 'and not after that')
})

t.test('the list is written every minute', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  let lists = 0
  const heldKeys = async () => {
    lists++
    return []
  }
  const file = { path: 'p', prepare: async () => undefined } as unknown as HotKeysFile
  const keeper = new HotKeysKeeper({ file, cache: { heldKeys }, log: recordingLog().log })
  keeper.start()
  await turn()
  for (const minutes of [1, 2]) {
    mock.timers.tick(59_999)
    t.equal(lists, minutes - 1)
    mock.timers.tick(1)
    t.equal(lists, minutes)
    await turn()
  }
  await keeper.close()
})

t.test('one list is written at a time, and the last one once the one before is written', async (t) => {
  const { held, disk, keeper, read, lists } = keeping(t)
  const slow = new Gate()
  disk.isReady = slow.pass()
  keeper.start()
  await eventually(() => lists() === 1)
  // The timer of the keeper fires before this one.
  await sleep(20)
  t.equal(lists(), 1)
  held.unshift('b')
  const closing = keeper.close()
  slow.open()
  await closing
  t.equal(lists(), 2)
  t.same(await read(), ['b', 'a'])
})

t.test('a problem that comes back is logged again', async (t) => {
  const { file, keeper, logged, lists } = keeping(t)
  const write = file.write.bind(file)
  let isFull = true
  file.write = (keys) => (isFull ? Promise.reject(new Error('no space')) : write(keys))
  keeper.start()
  await eventually(() => logged.length === 1)
  isFull = false
  const before = lists()
  await eventually(() => lists() > before + 2)
  isFull = true
  await eventually(() => logged.length === 2)
  await keeper.close()
  t.match(logged[1], { fields: { reason: 'no space' } })
})

t.test('a keeper that was not started writes nothing', async (t) => {
  const { keeper, read } = keeping(t)
  await keeper.close()
  t.equal(await read(), undefined)
})

t.test('with no entries in memory the previous list stays', async (t) => {
  const { held, file, keeper, read } = keeping(t)
  await file.prepare()
  await file.write(['x'])
  held.length = 0
  keeper.start()
  await keeper.close()
  t.same(await read(), ['x'])
})

t.test('a folder that cannot be created is logged once and tried again', async (t) => {
  const folder = t.testdir()
  writeFileSync(join(folder, 'state'), 'a file')
  const { file, keeper, logged, read, lists } = keeping(t, { folder })
  keeper.start()
  await eventually(() => lists() > 3)
  t.equal(new Set(logged.map(({ fields }) => JSON.stringify(fields))).size, logged.length)
  rmSync(join(folder, 'state'))
  await eventually(async () => (await read())?.join() === 'a')
  t.match(logged[0], {
    level: 'warn',
    fields: { path: file.path, reason: /EEXIST/ },
    message: /cannot write the list/,
  })
  // Before the folder is removed: a list that is written meanwhile would be in the way.
  await keeper.close()
})

t.test('an unusable folder is logged at the start, not after a minute', async (t) => {
  const folder = t.testdir({ state: 'a file' })
  const { keeper, logged, lists } = keeping(t, { folder, intervalMs: 60_000 })
  keeper.start()
  await eventually(() => logged.length === 1)
  t.equal(lists(), 0)
})
