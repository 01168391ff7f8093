import t from 'tap'
import { Denials } from './denials.js'
import { Spell } from './spell.js'

t.test('only affected requests are refused, and only while there is a reason', async (t) => {
  const denials = new Denials()
  const spell = new Spell(10_000)
  denials.add('refused', spell, ({ key }) => key === 'guilty')
  const fault = (denial: 'refused' | 'forbidden', key: string, invokeMs: number) =>
    denials.faultIn(denial, { key, via: 'sidecar-0.1', invokeMs, returnMs: invokeMs + 10 })
  spell.inForce(10_100)
  spell.ending(12_000)
  spell.gone(12_100)
  t.equal(fault('refused', 'guilty', 11_000), undefined)
  t.match(fault('refused', 'neighbour', 11_000), /nothing refused it/)
  t.match(fault('forbidden', 'guilty', 11_000), /a right is missing/)
  t.match(fault('refused', 'guilty', 9_000), /nothing refused it/)
  t.equal(fault('refused', 'guilty', 13_000), undefined, 'it may have joined an earlier statement')
  t.match(fault('refused', 'guilty', 20_000), /nothing refused it/)
})
