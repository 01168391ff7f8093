import t from 'tap'
import { decodeChanges } from '../../../src/postgres/feed/change.js'

t.test('a notification lists ids and versions alternately', async (t) => {
  t.strictSame(decodeChanges('["a","1"]'), [{ kind: 'key', id: 'a', version: '1' }])
  t.strictSame(decodeChanges('["a","1","\\u0000ff","9223372036854775807","","0"]'), [
    { kind: 'key', id: 'a', version: '1' },
    { kind: 'key', id: '\0ff', version: '9223372036854775807' },
    { kind: 'key', id: '', version: '0' },
  ])
})

t.test('a notification that cannot be decoded means that everything may have changed', async (t) => {
  const everything = [{ kind: 'everything' }]
  const payloads = [
    '*',
    undefined,
    '',
    'garbage',
    '[]',
    '["a"]',
    '["a","1","b"]',
    '["a",1]',
    '[1,"1"]',
    '["a",null]',
    '["a","--1"]',
    '["a","1.5"]',
    '["a",""]',
    '["a","12345678901234567890"]',
    '["a","1\\n"]',
    '{"0":"a","1":"1","length":2}',
    '"a"',
    'null',
    '[["a","1"]]',
    '["a","1"',
    'echo',
    'echo 0123456789abcdef ',
    'echo 0123456789ABCDEF',
    '['.repeat(7_000),
  ]
  for (const payload of payloads)
    t.strictSame(decodeChanges(payload), everything, payload?.slice(0, 30) ?? 'none')
})

t.test('an echo names no change', async (t) => {
  t.strictSame(decodeChanges('echo 0123456789abcdef'), [])
})

t.test('ids that no key has announce bindings, a drain, or a mapping', async (t) => {
  t.strictSame(decodeChanges('["\\u0000bindings","1"]'), [{ kind: 'bindings' }])
  t.strictSame(decodeChanges('["\\u0000drain","1","a","2"]'), [
    { kind: 'drain' },
    { kind: 'key', id: 'a', version: '2' },
  ])
  t.strictSame(decodeChanges('["\\u0000cache_map_0123456789ab_7","1"]'), [
    { kind: 'mapping', name: 'cache_map_0123456789ab_7' },
  ])
  for (const id of ['cache_map_0123456789ab_7', '\0cache_map_0123456789ab_7x', '\0cache_map_0123_7', 'drain'])
    t.match(decodeChanges(JSON.stringify([id, '1'])), [{ kind: 'key', id }])
})
