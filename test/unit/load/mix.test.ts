import fc from 'fast-check'
import t from 'tap'
import { drawFrom, type Operation, parseMix } from '../../../src/tools/load/mix.js'

t.test('weights are parsed by operation', async (t) => {
  t.strictSame(
    [...parseMix('get=90,set=10')],
    [
      ['get', 90],
      ['set', 10],
    ],
  )
  t.strictSame([...parseMix('del=0.5')], [['del', 0.5]])
})

t.test('an invalid mix is refused', async (t) => {
  const wrong = ['', 'get', 'get=', 'get=0', 'get=-1', 'get=x', 'get=1e3', 'get=Infinity', 'put=1']
  for (const text of [...wrong, 'get=1,get=2', 'get=1,', 'get=1 set=2', 'GET=1', 'get=1=2'])
    t.throws(() => parseMix(text), /^must be like get=90,set=10 .* not "/, text)
})

t.test('each operation is chosen as often as its weight says', async () => {
  const weight = fc.integer({ min: 1, max: 100 })
  fc.assert(
    fc.property(weight, weight, weight, (get, set, del) => {
      const total = get + set + del
      let place = 0
      const next = drawFrom(parseMix(`get=${get},set=${set},del=${del}`), () => (place++ + 0.5) / total)
      const counts: Record<Operation, number> = { get: 0, set: 0, del: 0 }
      for (let index = 0; index < total; index++) counts[next()]++
      return counts.get === get && counts.set === set && counts.del === del
    }),
  )
})

t.test('what is left by rounding goes to the last operation', async (t) => {
  const almostOne = 1 - 2 ** -53
  t.ok(almostOne * (0.1 + 0.1 + 0.4) - 0.1 - 0.1 - 0.4 >= 0)
  t.equal(drawFrom(parseMix('get=0.1,set=0.1,del=0.4'), () => almostOne)(), 'del')
})
