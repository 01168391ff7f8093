import t from 'tap'
import { shortName } from '../../../src/http/routes/short-name.js'
import { ttlMs } from '../../../src/http/routes/ttl-seconds.js'

t.test('a long name is cut in messages, and always valid UTF-16', async (t) => {
  const longest = 'x'.repeat(64)
  t.equal(shortName(longest), longest)
  t.equal(shortName(`${longest}y`), `${longest}...`)
  t.equal(shortName(`${'x'.repeat(63)}\u{1f600}`), `${'x'.repeat(63)}\ufffd...`, 'half of a character')
  t.equal(shortName('a\ud800'), 'a\ufffd')
})

t.test('a time to live is a whole number of milliseconds', async (t) => {
  t.equal(ttlMs(0.0016), 2)
  t.equal(ttlMs(0.0014), 1)
  t.equal(ttlMs(60), 60_000)
})
