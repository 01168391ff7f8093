import t from 'tap'
import { History, unknownHorizonMs } from './history.js'
import { StalenessCheck } from './staleness.js'

const limitMs = 3_000

/** A history of one key, and a check of reads of it; times in ms. */
function keyWithHistory() {
  const history = new History(['k'])
  const check = new StalenessCheck(history, limitMs)
  return {
    history,
    check,
    begin: (value: string | null, invokeMs: number, via = 'sql') =>
      history.begin({ key: 'k', value, by: 'a client', via, invokeMs }),
    write(value: string | null, invokeMs: number, returnMs: number) {
      const record = this.begin(value, invokeMs)
      history.end(record, 'ok', returnMs)
      return record
    },
    read: (value: string | null, invokeMs: number) =>
      check.check({ key: 'k', value, invokeMs, returnMs: invokeMs + 1 }, true),
  }
}

t.test('a value overwritten longer ago than L is a violation', async (t) => {
  const key = keyWithHistory()
  key.write('old', 0, 10)
  key.write('new', 1_000, 1_010)
  t.equal(key.read('old', 1_010 + limitMs), undefined)
  t.match(key.read('old', 1_011 + limitMs), /overwritten at least 3001 ms before/)
  t.equal(key.read('new', 1_000_000), undefined, 'it was not overwritten')
  t.equal(key.check.maxMs, limitMs + 1)
})

t.test('a write that overlaps is not sure to have overwritten the value', async (t) => {
  const key = keyWithHistory()
  const first = key.begin('first', 0)
  key.write('second', 5, 10)
  key.history.end(first, 'ok', 20)
  t.equal(key.read('first', 90_000), undefined)
  t.equal(key.read('second', 90_000), undefined)
  key.write('third', 21, 30)
  t.match(key.read('first', 90_000), /overwritten/)
  t.match(key.read('second', 90_000), /overwritten/)
})

t.test(
  'a write of unknown outcome may come late, until it is seen or no statement can live that long',
  async (t) => {
    const key = keyWithHistory()
    const unknown = key.begin('unknown', 0)
    key.history.end(unknown, 'unknown', 10)
    key.write('later', 100, 110)
    t.equal(key.read('unknown', 50_000), undefined, 'it may have come after "later"')
    key.history.seen('k', 'unknown', 50_001)
    key.write('last', 50_002, 50_010)
    t.match(key.read('unknown', 54_000), /overwritten/)

    const other = keyWithHistory()
    other.history.end(other.begin('unknown', 0), 'unknown', 10)
    other.write('soon', 1_000, 1_010)
    t.equal(other.read('unknown', 200_000), undefined)
    other.write('late', unknownHorizonMs + 11, unknownHorizonMs + 20)
    t.match(other.read('unknown', 200_000), /overwritten/)
  },
)

t.test('a pending write may take effect until its sidecar has no pending writes', async (t) => {
  const key = keyWithHistory()
  key.write('before', 0, 10)
  key.history.end(key.begin('kept', 20, 'sidecar-0.1'), 'kept', 30)
  t.equal(key.read('before', 90_000), undefined)
  key.write('after', 100, 110)
  t.equal(key.read('kept', 90_000), undefined)
  key.history.pendingSettled('sidecar-1.1', 200, 210)
  key.history.pendingSettled('sidecar-0.1', 25, 210)
  key.write('last', 300, 310)
  t.equal(
    key.read('kept', 90_000),
    undefined,
    'another sidecar, and an answer to an earlier question, say nothing',
  )
  key.history.pendingSettled('sidecar-0.1', 400, 410)
  key.write('very last', 500, 510)
  t.match(key.read('kept', 90_000), /overwritten/)
})

t.test('the most recent absence determines its age', async (t) => {
  const key = keyWithHistory()
  key.write('value', 0, 10)
  t.equal(key.read(null, 10 + limitMs), undefined, 'absent at the start')
  t.match(key.read(null, 11 + limitMs), /absent served as fresh/)
  key.write(null, 20_000, 20_010)
  t.equal(key.read(null, 90_000), undefined)
  key.write('again', 90_000, 90_010)
  t.match(key.read(null, 95_000), /overwritten at least 4990 ms/)
  key.history.forget(1_000_000)
  t.match(key.read(null, 1_000_000), /absent/, 'also when the details are forgotten')
})

t.test('an update that found no row proves an absence', async (t) => {
  const key = keyWithHistory()
  key.write('value', 0, 10)
  key.history.end(key.begin('nowhere', 1_000), 'nothing', 1_010)
  t.match(key.read('value', 10_000), /overwritten/)
  t.equal(key.read(null, 10_000), undefined)
})

t.test('percentiles cover hits only', async (t) => {
  const key = keyWithHistory()
  key.write('old', 0, 10)
  key.write('new', 20, 30)
  for (let read = 0; read < 98; read++) key.read('new', 100)
  key.read('old', 130)
  key.read('old', 1_030)
  t.equal(key.check.percentile(0.5), 0)
  t.equal(key.check.percentile(0.99), 100)
  t.equal(key.check.percentile(1), 1_000)
})

t.test('after another history begins, lost values may be served for L', async (t) => {
  const key = keyWithHistory()
  key.write('first', 0, 10)
  key.write('lost', 20, 30)
  const pending = key.begin('pending', 40)
  key.history.beginAnew(new Map([['k', 'first']]), 100)
  t.equal(key.read('first', 90_000), undefined, 'current again')
  t.equal(key.read('lost', 100 + limitMs), undefined)
  t.match(key.read('lost', 101 + limitMs), /overwritten at least/)
  key.history.end(pending, 'ok', 150)
  t.equal(key.read('first', 90_000), undefined, 'the pending write may have happened in the other one')
  t.equal(key.read('pending', 90_000), undefined)
  key.write('next', 200, 210)
  t.match(key.read('first', 211 + limitMs), /overwritten/)
  t.match(key.read('pending', 211 + limitMs), /overwritten/)
})

t.test('in another history a key may be absent again', async (t) => {
  const key = keyWithHistory()
  key.write('lost', 0, 10)
  key.history.beginAnew(new Map(), 100)
  t.equal(key.read(null, 90_000), undefined)
  t.match(key.read('lost', 101 + limitMs), /overwritten/)
})
