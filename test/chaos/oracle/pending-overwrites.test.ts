import t from 'tap'
import { History, type Outcome } from './history.js'
import { checkPendingOverwrites } from './pending-overwrites.js'

function keyWithHistory() {
  const history = new History(['k'])
  const write = (value: string | null, invokeMs: number, returnMs: number, outcome: Outcome = 'ok') => {
    const record = history.begin({ key: 'k', value, by: 'me', via: 'sidecar-0.1', invokeMs })
    history.end(record, outcome, returnMs)
  }
  const read = (value: string | null, invokeMs = 1_000) =>
    checkPendingOverwrites(history, { key: 'k', value, invokeMs })
  return { history, write, read }
}

t.test('a pending write is not sent where the row has changed since', async (t) => {
  const { write, read } = keyWithHistory()
  write('beside', 0, 30)
  write('kept', 10, 20, 'kept')
  t.equal(read('kept'), undefined)
  t.equal(read(null), undefined)
  write('failed', 40, 50, 'failed')
  write('unknown', 40, 50, 'unknown')
  t.equal(read('kept'), undefined)
  write('later', 40, 50)
  t.match(read('kept'), /kept, which sidecar-0.1 had kept, is in the place of later/)
  t.equal(read('kept', 45), undefined, 'it was not acknowledged yet')
  t.equal(read('later'), undefined)
})

t.test('a pending write may be sent into a gap', async (t) => {
  for (const [value, outcome] of [
    [null, 'ok'],
    [null, 'unknown'],
    ['nothing', 'nothing'],
  ] as const) {
    const { write, read } = keyWithHistory()
    write('kept', 10, 20, 'kept')
    write('later', 40, 50)
    write(value, 60, 70, outcome)
    t.equal(read('kept'), undefined, outcome)
  }
})

t.test('a row that another history lost was not overwritten', async (t) => {
  const { history, write, read } = keyWithHistory()
  write('kept', 10, 20, 'kept')
  write('lost', 40, 50)
  history.beginAnew(new Map(), 100)
  t.equal(read('kept'), undefined)
  write('later', 110, 120)
  t.match(read('kept'), /in the place of later/)
})
