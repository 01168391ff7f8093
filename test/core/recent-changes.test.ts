import t from 'tap'
import { RecentChanges } from '../../src/core/recent-changes.js'

t.test('the last 10,000 changes, each with its number', async (t) => {
  const recent = new RecentChanges()
  for (let version = 1; version <= 10_001; version++) recent.add('key', String(version))
  t.equal(recent.count, 10_001)
  t.equal(recent.has('key', '1'), false)
  t.equal(recent.numberOf('key', '1'), undefined)
  t.equal(recent.numberOf('key', '2'), 2)
  t.equal(recent.numberOf('key', '10001'), 10_001)
  t.equal(recent.has('another key', '2'), false)
})

t.test('a change that comes twice keeps its number, and takes the place of no other', async (t) => {
  const recent = new RecentChanges()
  recent.add('a', '1')
  recent.add('b', '2')
  recent.add('a', '1')
  t.equal(recent.count, 2)
  t.equal(recent.numberOf('a', '1'), 1)
  for (let version = 3; version <= 10_000; version++) recent.add('c', String(version))
  t.ok(recent.has('a', '1'))
  recent.add('c', '10001')
  t.notOk(recent.has('a', '1'))
  t.ok(recent.has('b', '2'))
})

t.test(
  'a version that should be unique and is not stands for the later change, and never for both',
  async (t) => {
    const recent = new RecentChanges()
    recent.add('a', '1')
    recent.add('b', '1')
    t.notOk(recent.has('a', '1'))
    t.ok(recent.has('b', '1'))
    for (let version = 2; version <= 10_000; version++) recent.add('c', String(version))
    t.notOk(recent.has('b', '1'), 'at most it is forgotten sooner, which leads to the primary')
  },
)

t.test('forgotten with their history, but never numbered again', async (t) => {
  const recent = new RecentChanges()
  recent.add('a', '1')
  recent.clear()
  t.notOk(recent.has('a', '1'))
  recent.add('a', '1')
  t.equal(recent.numberOf('a', '1'), 2)
})
