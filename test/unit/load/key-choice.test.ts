import fc from 'fast-check'
import t from 'tap'
import { drawKeys, type KeyChoice, parseKeyChoice } from '../../../src/tools/load/key-choice.js'
import { Random } from '../../support/random.js'

function drawn(choice: KeyChoice, draws: number): Map<number, number> {
  const random = new Random(7)
  const next = drawKeys(choice, () => random.next())
  const counts = new Map<number, number>()
  for (let index = 0; index < draws; index++) {
    const number = next()
    counts.set(number, (counts.get(number) ?? 0) + 1)
  }
  return counts
}

t.test('valid choices of keys are parsed', async (t) => {
  t.strictSame(parseKeyChoice('uniform:1'), { count: 1, exponent: 0 })
  t.strictSame(parseKeyChoice('zipf:100000'), { count: 100_000, exponent: 1 })
  t.strictSame(parseKeyChoice('zipf:5:0.8'), { count: 5, exponent: 0.8 })
})

t.test('invalid choices of keys are refused', async (t) => {
  const wrong = ['', 'zipf', 'zipf:', 'zipf:0', 'zipf:-1', 'zipf:1.5', 'zipf:1e3', 'zipf:10000001']
  for (const text of [...wrong, 'zipf:5:', 'zipf:5:-1', 'zipf:5:x', 'zipf:5:1:1', 'uniform:5:1', 'random:5'])
    t.throws(() => parseKeyChoice(text), /^must be .* not "/, text)
})

t.test('numbers are between 1 and the count', async () => {
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  const count = fc.integer({ min: 1, max: 1_000 })
  const exponent = fc.double({ min: 0, max: 10, noNaN: true })
  fc.assert(
    fc.property(count, exponent, chance, (count, exponent, random) => {
      const number = drawKeys({ count, exponent }, () => random)()
      return Number.isInteger(number) && number >= 1 && number <= count
    }),
  )
})

t.test('each key is chosen as often as its weight says', async () => {
  const draws = 20_000
  const shape = [fc.integer({ min: 1, max: 50 }), fc.double({ min: 0, max: 3, noNaN: true })] as const
  fc.assert(
    fc.property(...shape, (count, exponent) => {
      const counts = drawn({ count, exponent }, draws)
      const weights = Array.from({ length: count }, (_, index) => (index + 1) ** -exponent)
      const total = weights.reduce((sum, weight) => sum + weight)
      return weights.every((weight, index) => {
        const expected = (draws * weight) / total
        // Six standard deviations, and a few for what hardly ever comes.
        return Math.abs((counts.get(index + 1) ?? 0) - expected) <= 6 * Math.sqrt(expected) + 6
      })
    }),
    { numRuns: 50, seed: 7 },
  )
})
