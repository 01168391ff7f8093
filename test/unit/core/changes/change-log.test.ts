import t from 'tap'
import { ChangeLog } from '../../../../src/core/changes/change-log.js'

const ids = (log: ChangeLog, since: number) => log.since(since)?.map(({ id }) => id)

t.test('changes are numbered, and the last ones are remembered', async (t) => {
  const log = new ChangeLog(3)
  t.same(log.since(0), [])
  log.changed('a', '1')
  log.changed('b', '-2')
  t.same(log.since(0), [
    { number: 1, id: 'a', version: '1' },
    { number: 2, id: 'b', version: '-2' },
  ])
  t.same(ids(log, 1), ['b'])
  t.same(ids(log, 2), [])
  log.changed('c', '3')
  t.same(ids(log, 0), ['a', 'b', 'c'])
  log.changed('d', '4')
  t.same(ids(log, 0), undefined, 'the first one is forgotten')
  t.same(ids(log, 1), ['b', 'c', 'd'])
  for (const id of ['e', 'f', 'g', 'h']) log.changed(id, '1')
  t.same(ids(log, 5), ['f', 'g', 'h'])
})

t.test('the last 8,192 changes are remembered, unless another number is asked for', async (t) => {
  const log = new ChangeLog()
  for (let number = 1; number <= 8_193; number++) log.changed('k', String(number))
  t.equal(log.has(0), false)
  t.equal(log.since(1)?.length, 8_192)
  t.match(log.since(1, 2), [
    { number: 2, version: '2' },
    { number: 3, version: '3' },
  ])
  t.equal(log.since(1, 2)?.length, 2, 'no more than are wanted')
})

t.test('a gap ends a generation, and everything before it is forgotten', async (t) => {
  const log = new ChangeLog()
  log.changed('a', '1')
  log.changed('b', '2')
  t.equal(log.generation, 0)
  log.gap()
  t.equal(log.generation, 1)
  t.equal(log.last, 3, 'it has a number')
  t.same(log.since(2), undefined)
  t.same(log.since(3), [])
  log.changed('c', '3')
  t.same(ids(log, 3), ['c'])
  t.same(ids(log, 2), undefined, 'a client from before the gap')
})

t.test('numbers that were never given are not known', async (t) => {
  const log = new ChangeLog()
  log.changed('a', '1')
  for (const number of [2, -1, Number.NaN]) t.same(log.since(number), undefined)
})

t.test('the listener is called after each change and each gap', async (t) => {
  const log = new ChangeLog()
  const calls: number[] = []
  log.onAdvance = () => calls.push(log.last)
  log.changed('a', '1')
  log.gap()
  t.same(calls, [1, 2])
})
