import t from 'tap'
import { Spell } from './spell.js'

t.test('a spell tells what took effect, what did not, and what may have', async (t) => {
  const spell = new Spell(100)
  t.equal(spell.covers(0, 99), 'no')
  t.equal(spell.covers(0, 101), 'maybe', 'it may be in force')
  spell.inForce(200)
  t.equal(spell.covers(150, 250), 'maybe')
  t.equal(spell.covers(200, 9_999), 'yes')
  spell.ending(300)
  t.equal(spell.covers(200, 300), 'yes')
  t.equal(spell.covers(250, 301), 'maybe')
  t.equal(spell.covers(9_000, 9_001), 'maybe', 'it may not be over')
  spell.gone(400)
  t.equal(spell.covers(399, 500), 'maybe')
  t.equal(spell.covers(401, 500), 'no')
})
