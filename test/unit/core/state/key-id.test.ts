import { createHash } from 'node:crypto'
import t from 'tap'
import { keyId } from '../../../../src/core/state/key-id.js'

const hashed = (key: string) => `\0${createHash('sha256').update(key, 'utf8').digest('hex')}`

t.test('a key of up to 512 bytes of UTF-8 is named by itself', async (t) => {
  for (const key of [
    '',
    'k',
    'a'.repeat(170),
    'a'.repeat(171),
    'a'.repeat(512),
    'é'.repeat(256),
    '€'.repeat(170),
  ]) {
    t.equal(keyId(key), key, `${key.length} characters, ${Buffer.byteLength(key)} bytes`)
  }
  t.equal(keyId('😀'.repeat(128)), '😀'.repeat(128), 'four bytes each')
})

t.test('a longer key is named by the SHA-256 of its bytes', async (t) => {
  for (const key of [
    'a'.repeat(513),
    'é'.repeat(257),
    `${'€'.repeat(170)}abc`,
    '€'.repeat(171),
    `${'😀'.repeat(128)}a`,
    'a'.repeat(100_000),
  ]) {
    t.equal(keyId(key), hashed(key), `${key.length} characters, ${Buffer.byteLength(key)} bytes`)
  }
})

t.test('long keys that differ only at their ends have different names', async (t) => {
  const [a, b] = [`${'a'.repeat(600)}1`, `${'a'.repeat(600)}2`]
  t.not(keyId(a), keyId(b))
})
