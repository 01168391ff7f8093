import t from 'tap'
import { isEntryTag } from '../../../../src/core/state/entry-tag.js'
import { validateKey } from '../../../../src/core/state/validate-key.js'

t.test('a key is a text of 1 to 1,024 bytes that PostgreSQL can store', async (t) => {
  for (const key of ['a', ' ', '\n', 'x'.repeat(1_024), '€'.repeat(341), '💾'.repeat(256)])
    t.equal(validateKey(key), undefined)
  for (const [key, fault] of [
    ['', 'must not be empty'],
    ['a\0b', 'must not contain U+0000'],
    ['a\ud800', 'contains a lone surrogate'],
    ['x'.repeat(1_025), 'longer than 1024 bytes of UTF-8'],
    ['€'.repeat(342), 'longer than 1024 bytes of UTF-8'],
  ] as const)
    t.equal(validateKey(key), fault)
})

t.test('a tag has the version of a row or the hash of a bound one, and an epoch', async (t) => {
  const epoch = '7123456789012345678-0000000A'
  const hash = '0123456789abcdef'.repeat(2)
  for (const version of ['1', '9223372036854775807', hash]) t.ok(isEntryTag(`${version}-${epoch}`), version)
  for (const version of ['', '-1', '92233720368547758070', hash.slice(1), `${hash}0`, hash.toUpperCase()])
    t.notOk(isEntryTag(`${version}-${epoch}`), version)
  for (const text of ['1', `1-${epoch}0`, `1-${epoch.toLowerCase()}`, `1-12${epoch}`, ` 1-${epoch}`])
    t.notOk(isEntryTag(text), text)
})
