import t from 'tap'
import { History, type Outcome, type WriteRecord } from './history.js'
import { checkSession } from './sessions.js'

function keyWithHistory() {
  const history = new History(['k'])
  const write = (
    value: string | null,
    invokeMs: number,
    returnMs: number,
    outcome: Outcome = 'ok',
    by = 'me',
  ) => {
    const record = history.begin({ key: 'k', value, by, via: 'sidecar-0.1', invokeMs })
    history.end(record, outcome, returnMs)
    return record
  }
  return { history, write }
}

t.test('with its token a client sees its write, or one that may be later', async (t) => {
  const { history, write } = keyWithHistory()
  write('old', 0, 10)
  write('beside', 15, 40, 'ok', 'other')
  const since = write('mine', 20, 30)
  write('next', 50, 60, 'ok', 'other')
  const read = (value: string | null) =>
    checkSession(history, { key: 'k', value, stale: false, returnMs: 100, since, how: 'with the token of' })
  t.equal(read('mine'), undefined)
  t.equal(read('beside'), undefined)
  t.equal(read('next'), undefined)
  t.match(read('old'), /shown old, which had been written before/)
  t.match(read(null), /nobody deleted it since/)
  write(null, 70, 80, 'unknown', 'other')
  t.equal(read(null), undefined)
})

t.test('a pending write of the client counts as earlier, even while it is pending', async (t) => {
  const { history, write } = keyWithHistory()
  write('kept', 0, 10, 'kept')
  write('of another', 0, 10, 'kept', 'other')
  const since = write('mine', 20, 30)
  const read = (value: string, stale: boolean) =>
    checkSession(history, { key: 'k', value, stale, returnMs: 100, since, how: 'with the token of' })
  t.match(read('kept', true), /its own write that was kept before that/)
  t.equal(read('kept', false), undefined, 'sent since, into a row that had not changed')
  t.equal(read('of another', true), undefined)
})

t.test('a write of an earlier history promises nothing, and one of the present history does', async (t) => {
  const { history, write } = keyWithHistory()
  write('first', 0, 10)
  const lost = write('lost', 20, 30)
  history.beginAnew(new Map([['k', 'first']]), 100)
  t.equal(history.acknowledgedVia('k', 'sidecar-0.1'), undefined)
  const read = (since: WriteRecord, value: string) =>
    checkSession(history, { key: 'k', value, stale: false, returnMs: 300, since, how: 'with the token of' })
  t.equal(read(lost, 'first'), undefined)
  const since = write('mine', 110, 120)
  t.match(read(since, 'first'), /had been written before/)
  t.match(read(since, 'lost'), /had been written before/)
})
