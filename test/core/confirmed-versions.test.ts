import t from 'tap'
import { RecentChanges } from '../../src/core/recent-changes.js'

t.test('changes are known, each by its number, until one comes with the same place', async (t) => {
  const recent = new RecentChanges()
  for (let version = 1; version <= 16_385; version++) recent.add(String(version))
  t.equal(recent.count, 16_385)
  t.equal(recent.has('1'), false)
  t.equal(recent.numberOf('1'), undefined)
  t.equal(recent.numberOf('2'), 2)
  t.equal(recent.numberOf('16385'), 16_385)
})

t.test('a change that comes twice keeps its number', async (t) => {
  const recent = new RecentChanges()
  recent.add('1')
  recent.add('2')
  recent.add('1')
  t.equal(recent.count, 2)
  t.equal(recent.numberOf('1'), 1)
  t.equal(recent.numberOf('2'), 2)
})

t.test('a row that is gone is another change than the row that was there', async (t) => {
  const recent = new RecentChanges()
  recent.add('7')
  t.notOk(recent.has('-7'))
  recent.add('-7')
  t.ok(recent.has('-7'))
  t.notOk(recent.has('7'), 'at most it is forgotten sooner, which leads to the primary')
})

t.test('what does not tell one change from all others is never known', async (t) => {
  const recent = new RecentChanges()
  // Rows that are older than versions, and what is the same number as its neighbour.
  for (const version of ['0', '-0', '9007199254740992', '9007199254740993']) {
    recent.add(version)
    t.notOk(recent.has(version), version)
  }
  t.equal(recent.count, 0)
})

t.test('forgotten with their history, but never numbered again', async (t) => {
  const recent = new RecentChanges()
  recent.add('1')
  recent.clear()
  t.notOk(recent.has('1'))
  recent.add('1')
  t.equal(recent.numberOf('1'), 2)
})
