import { join } from 'node:path'
import t from 'tap'
import { readKeyList } from '../../../src/warm-up/key-list.js'

t.test('a list has one key per line', async (t) => {
  const path = join(t.testdir({ keys: 'user:1\n\nuser:2\r\n "a b" \n\u2028é\nlast' }), 'keys')
  t.same(await readKeyList(path, 100), ['user:1', 'user:2', ' "a b" ', '\u2028é', 'last'])
  t.same(await readKeyList(path, 2), ['user:1', 'user:2'])
})

t.test('a list may be longer than one read', async (t) => {
  const keys = Array.from({ length: 50_000 }, (_, index) => `ключ:${index}`)
  const path = join(t.testdir({ keys: `${keys.join('\n')}\n` }), 'keys')
  t.same(await readKeyList(path, 100_000), keys)
})

t.test('an unreadable list is refused', async (t) => {
  await t.rejects(readKeyList('/nowhere/keys', 10), { code: 'ENOENT' })
  const path = join(t.testdir({ keys: 'x'.repeat(200_000) }), 'keys')
  await t.rejects(readKeyList(path, 10), /a line is longer than 65536 characters/)
})
