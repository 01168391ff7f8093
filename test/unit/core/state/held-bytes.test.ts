import t from 'tap'
import { heldBytes } from '../../../../src/core/state/held-bytes.js'

t.test('a text takes a byte per character in memory if it is ASCII, and two otherwise', async (t) => {
  t.equal(heldBytes(''), 0)
  t.equal(heldBytes('abc'), 3)
  t.equal(heldBytes('aé'), 4)
  t.equal(heldBytes('a€'), 4, 'although it takes 4 bytes of UTF-8, three of them for one character')
  t.equal(heldBytes('€€'), 4)
  t.equal(heldBytes('💾'), 4)
})
