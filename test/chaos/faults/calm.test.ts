import t from 'tap'
import { Calm } from './calm.js'

t.test('calm begins when the last of several faults has ended', async (t) => {
  const calm = new Calm<object>()
  const [one, other] = [{}, {}]
  t.equal(calm.ms(one, 0), Number.POSITIVE_INFINITY)
  calm.disturb(one)
  calm.disturb(one)
  t.equal(calm.ms(one, 100), 0)
  t.equal(calm.ms(one, 100, 1), 0)
  t.equal(calm.ms(one, 100, 2), Number.POSITIVE_INFINITY, 'both are our own')
  calm.leave(one, 200)
  t.equal(calm.ms(one, 300), 0, 'the other one is still under way')
  calm.leave(one, 400)
  t.equal(calm.ms(one, 450), 50)
  t.equal(calm.ms(other, 450), Number.POSITIVE_INFINITY)
})
