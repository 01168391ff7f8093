import t from 'tap'
import { concerns, formatToken, parseToken } from '../../../../src/core/state/session-token.js'

const written = { version: '42', epoch: '7123456789012345678-00000001' }

t.test('a token names its write and its key', async (t) => {
  const token = parseToken(formatToken('key', written))
  t.match(token, { written })
  t.ok(token && concerns(token, 'key'))
  t.notOk(token && concerns(token, 'other'))
})

t.test('the token of a delete has the version of an absent key, or none', async (t) => {
  t.match(parseToken(formatToken('key', { ...written, version: '-42' })), { written: { version: '-42' } })
  t.equal(parseToken(formatToken('key', undefined))?.written, undefined)
})

t.test('a token needs no encoding in a header or a URL', async (t) => {
  const token = formatToken('\0ключ &=?', { ...written, version: '-42' })
  t.match(token, /^[A-Za-z0-9_.-]{1,80}$/)
  t.equal(encodeURIComponent(token), token)
})

t.test('anything else is no token', async (t) => {
  const token = formatToken('key', written)
  for (const text of [
    '',
    'x',
    ` ${token}`,
    `${token} `,
    `${token}.1`,
    token.replace('42', 'x'),
    token.slice(0, -1),
  ]) {
    t.equal(parseToken(text), undefined, JSON.stringify(text))
  }
})
