import t from 'tap'
import { type IncrementOutcome, Increments } from './increments.js'

function increments() {
  const violations: string[] = []
  const counted = new Increments((text) => violations.push(text))
  const make = (n: number, outcome: IncrementOutcome = 'ok', run = 'a') =>
    counted.end(counted.begin({ run, n }), outcome)
  return { counted, violations, make }
}

t.test('increments that build on each other are counted', async (t) => {
  const { counted, violations, make } = increments()
  for (const n of [5, 6, 7]) make(n)
  make(7, 'unmet')
  make(8, 'failed')
  make(1, 'ok', 'b')
  counted.check({ run: 'a', n: 7 })
  counted.check({ run: 'never seen', n: 7 })
  t.same(violations, [])
  t.same(counted.counts, { ok: 4, unmet: 1, unknown: 0, failed: 1 })
})

t.test('a lost increment is a violation', async (t) => {
  const { violations, make } = increments()
  for (const n of [5, 6, 6]) make(n)
  t.match(violations, [/two increments of a to 6/])
})

t.test('an increment that the end lacks is a violation, and so is one that nobody made', async (t) => {
  for (const n of [6, 8]) {
    const { counted, violations, make } = increments()
    for (const one of [5, 6, 7]) make(one)
    counted.check({ run: 'a', n })
    t.match(violations, [/a is at \d after \d increments, of which 3 were acknowledged and 0 are unknown/])
  }
})

t.test('an increment of unknown outcome may have happened', async (t) => {
  for (const [n, isWrong] of [
    [5, true],
    [6, false],
    [7, false],
    [8, true],
  ] as const) {
    const { counted, violations, make } = increments()
    make(5)
    make(6)
    make(7, 'unknown')
    counted.check({ run: 'a', n })
    t.equal(violations.length, isWrong ? 1 : 0, String(n))
  }
})

t.test('in another era, the same number may be made once more', async (t) => {
  const { counted, violations, make } = increments()
  make(5)
  make(6)
  const between = counted.begin({ run: 'a', n: 7 })
  counted.beginAnew()
  make(6)
  counted.end(between, 'ok')
  counted.check({ run: 'a', n: 6 })
  counted.check({ run: 'a', n: 7 })
  t.same(violations, [])
  make(6)
  t.equal(violations.length, 1)
})
