import t from 'tap'
import { Flights } from '../../../../src/core/state/flights.js'

const live = { generation: 3, coveredGeneration: 3, mayPut: true }
const reading = () => Promise.resolve({ value: undefined, ageMs: 0 })

t.test('a flight may put when nothing happened since it began', async (t) => {
  const flights = new Flights()
  t.equal(flights.mayPut(flights.open('k', live, 0), '7', live), true)
})

t.test('a flight may put the only version that changed, however often it is announced', async (t) => {
  const flights = new Flights()
  const token = flights.open('k', live, 0)
  flights.changed('k', '7')
  flights.changed('k', '7')
  t.equal(flights.mayPut(token, '7', live), true)
})

for (const [what, changes] of Object.entries({
  'a higher version': ['8'],
  'a lower version': ['6'],
  'its own version and then another': ['7', '8'],
  'another version and then its own': ['8', '7'],
  'a version that is not known': [undefined],
  'the same number written otherwise': ['07'],
})) {
  t.test(`a flight may not put after a change to ${what}`, async (t) => {
    const flights = new Flights()
    const token = flights.open('k', live, 0)
    for (const change of changes) flights.changed('k', change)
    t.equal(flights.mayPut(token, '7', live), false)
  })
}

t.test('a change of another key or from before the flight does not matter', async (t) => {
  const flights = new Flights()
  flights.changed('k', '8')
  const token = flights.open('k', live, 0)
  flights.changed('other', '9')
  t.equal(flights.mayPut(token, '7', live), true)
})

t.test('every flight of a key hears of its changes; one that has ended does not', async (t) => {
  const flights = new Flights()
  const [first, second, ended] = [0, 1, 2].map((ms) => flights.open('k', live, ms))
  if (!first || !second || !ended) return t.fail()
  flights.close(ended)
  flights.changed('k', '8')
  t.same([first.changes, second.changes, ended.changes], [['8'], ['8'], []])
  flights.close(first)
  flights.close(first)
  flights.changed('k', '9')
  t.same([first.changes, second.changes], [['8'], ['8', '9']], 'closing twice closes no other')
})

t.test(
  'a flight may put only if the feed was live when it began, is live now, and was all the while',
  async (t) => {
    const flights = new Flights()
    const down = { generation: 3, coveredGeneration: 3, mayPut: false }
    t.equal(flights.mayPut(flights.open('k', down, 0), '7', live), false, 'not live when it began')
    t.equal(flights.mayPut(flights.open('k', live, 0), '7', down), false, 'not live now')
    const inDoubt = { generation: 4, coveredGeneration: 3, mayPut: true }
    t.equal(flights.mayPut(flights.open('k', live, 0), '7', inDoubt), true, 'in doubt, and not compared yet')
    const compared = { generation: 4, coveredGeneration: 4, mayPut: true }
    t.equal(flights.mayPut(flights.open('k', live, 0), '7', compared), false, 'compared in between')
  },
)

t.test('a fill may be joined from its start to its end', async (t) => {
  const flights = new Flights()
  t.equal(flights.joinable('k', 0), undefined)
  const result = reading()
  flights.share('k', { result, startedAtMs: 100 })
  t.equal(flights.joinable('k', 100), result)
  t.equal(flights.joinable('other', 100), undefined)
  t.equal(flights.joinable('k', 101), undefined, 'unless it began too long ago')
  flights.unshare('k', result)
  t.equal(flights.joinable('k', 0), undefined)
})

t.test('a fill may not be joined after a change of its key, of whatever version', async (t) => {
  for (const version of ['1', undefined]) {
    const flights = new Flights()
    const result = reading()
    flights.share('k', { result, startedAtMs: 0 })
    flights.changed('other', version)
    t.equal(flights.joinable('k', 0), result)
    flights.changed('k', version)
    t.equal(flights.joinable('k', 0), undefined)
  }
})

t.test('no fill may be joined after a doubt', async (t) => {
  const flights = new Flights()
  for (const id of ['a', 'b']) flights.share(id, { result: reading(), startedAtMs: 0 })
  flights.doubted()
  t.same([flights.joinable('a', 0), flights.joinable('b', 0)], [undefined, undefined])
})

t.test('the end of an abandoned fill does not end its successor', async (t) => {
  const flights = new Flights()
  const [first, second] = [reading(), reading()]
  flights.share('k', { result: first, startedAtMs: 0 })
  flights.changed('k', '8')
  flights.share('k', { result: second, startedAtMs: 1 })
  flights.unshare('k', first)
  t.equal(flights.joinable('k', 0), second)
})

t.test('a flight may not put after another flight has put a different version', async (t) => {
  const flights = new Flights()
  const [slow, quick] = [flights.open('k', live, 0), flights.open('k', live, 1)]
  flights.told(quick, '8')
  t.equal(flights.mayPut(slow, '7', live), false)
  t.equal(flights.mayPut(slow, '8', live), true)
  t.same(quick.changes, [])
})
