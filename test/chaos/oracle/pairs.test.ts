import t from 'tap'
import { Pairs, pairKeys } from './pairs.js'

const [a, b] = pairKeys

t.test('both entries are compared', async (t) => {
  const violations: string[] = []
  const pairs = new Pairs((text) => violations.push(text))
  pairs.seen({})
  pairs.seen({ [a]: 7, [b]: 7 })
  pairs.seen({ [a]: '7, altered by a trigger', [b]: 8 })
  t.same(violations, [])
  t.equal(pairs.compared, 1)
  pairs.seen({ [a]: 7, [b]: 8 })
  pairs.seen({ [a]: 7 })
  t.match(violations, [/half seen: .*7.*8/, /half seen/])
})
