import t from 'tap'
import { alter, asSent, isAltered } from '../entry-value.js'
import { Alterations } from './alterations.js'
import { History, type Outcome } from './history.js'
import { Spell } from './spell.js'

/** A spell from 100 to 200, and writes of one key. */
function spellWithWrites() {
  const alterations = new Alterations()
  const spell = new Spell(100)
  spell.inForce(110)
  spell.ending(190)
  spell.gone(200)
  alterations.add(spell)
  const history = new History(['k'])
  const written = (invokeMs: number, returnMs: number, outcome: Outcome = 'ok') => {
    const record = history.begin({ key: 'k', value: `${invokeMs}`, by: 'me', via: 'sidecar-0.1', invokeMs })
    history.end(record, outcome, returnMs)
    return record
  }
  return { alterations, written }
}

t.test('a value is shown as it is stored', async (t) => {
  const { alterations, written } = spellWithWrites()
  const [before, during, after] = [written(0, 10), written(120, 130), written(300, 310)]
  const between = written(95, 115)
  for (const record of [before, after]) {
    t.equal(alterations.faultIn(record, 'v', 400), undefined)
    t.match(alterations.faultIn(record, alter('v'), 400), /nothing has altered/)
  }
  t.match(alterations.faultIn(during, 'v', 400), /as it was sent/)
  t.equal(alterations.faultIn(during, alter('v'), 400), undefined)
  t.equal(alterations.faultIn(between, 'v', 400), undefined)
  t.equal(alterations.faultIn(between, alter('v'), 400), undefined)
})

t.test('a pending write is stored when it is sent', async (t) => {
  const { alterations, written } = spellWithWrites()
  const kept = written(0, 10, 'kept')
  t.equal(alterations.faultIn(kept, 'v', 400), undefined)
  t.equal(alterations.faultIn(kept, alter('v'), 400), undefined)
  t.match(alterations.faultIn(kept, alter('v'), 50), /nothing has altered/, 'it was shown before the spell')
})

t.test('an altered value is recognised and can be turned back', async (t) => {
  for (const value of ['text', '{"name":"v","padding":""}']) {
    t.equal(isAltered(value), false)
    t.equal(isAltered(alter(value)), true)
    t.equal(asSent(alter(value)), value)
    t.equal(asSent(value), value)
  }
  t.match(JSON.parse(alter('{"name":"v"}')), { name: 'v' })
})
