import t from 'tap'
import { SessionTokens } from '../../../clients/node/src/entries/session-tokens.js'

t.test('a token is remembered for a minute, and so are those of the last 10,000 keys', async (t) => {
  let nowMs = 0
  const tokens = new SessionTokens(() => nowMs)
  tokens.add('a', 'one')
  tokens.add('a', 'two')
  nowMs = 59_999
  t.equal(tokens.of('a'), 'two')
  nowMs++
  t.equal(tokens.of('a'), undefined)
  tokens.add('a', 'three')
  for (let n = 0; n < 9_999; n++) tokens.add(`k${n}`, 'x')
  t.equal(tokens.of('a'), 'three')
  tokens.add('last', 'x')
  t.equal(tokens.of('a'), undefined)
  t.equal(tokens.of('k0'), 'x')
})
