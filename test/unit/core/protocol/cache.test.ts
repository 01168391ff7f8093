/**
 * Tests of the cache under normal conditions, and of its counters. The rules are tested in protocol.test.ts and
 * outage.test.ts.
 */
import t from 'tap'
import { liveSidecar, ttlMs } from '../../../support/model-sidecar.js'
import { plain } from '../../../support/plain.js'
import { turn } from '../../../support/turn.js'

t.test('a value that was set is read back from memory', async (t) => {
  const { store, cache } = await liveSidecar()
  t.match(await cache.set('k', '{"a":1}'), { written: true })
  t.same(plain(await cache.get('k')), { value: '{"a":1}', source: 'cache', stale: false })
  t.equal(store.valueOf('k'), '{"a":1}', 'and it is in the database')
})

t.test('a value in the database is read from there once', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('k', '1')
  t.same(plain(await cache.get('k')), { value: '1', source: 'db', stale: false })
  t.same(plain(await cache.get('k')), { value: '1', source: 'cache', stale: false })
})

t.test('a hit has the version, and the bytes of key and value in UTF-8', async (t) => {
  const { store, cache } = await liveSidecar()
  await cache.set('é', '"€"')
  t.match(cache.hit('é'), { key: 'é', value: '"€"', version: store.versionOf('é'), bytes: 7 })
})

t.test('without room for negative entries, a missing key is queried every time', async (t) => {
  const { store, cache } = await liveSidecar({ negativeCapacity: 0 })
  for (let reads = 0; reads < 2; reads++) {
    t.same(plain(await cache.get('k')), { value: undefined, source: 'db', stale: false })
  }
  t.equal(store.statements.filter(({ operation }) => operation === 'read').length, 2)
  t.equal(cache.status().size, 0)
})

t.test('a delete tells whether the key was in memory and in the database', async (t) => {
  const { clock, store, cache } = await liveSidecar()
  t.match(await cache.delete('k'), { held: false, stored: false })
  store.setBySql('k', '1')
  t.match(await cache.delete('k'), { held: false, stored: true })
  await cache.set('k', '1')
  t.match(await cache.delete('k'), { held: true, stored: true })
  t.match(await cache.delete('k'), { held: false, stored: false })
  t.same(plain(await cache.get('k')), { value: undefined, source: 'db', stale: false })

  await cache.set('k', '1')
  clock.advance(ttlMs)
  t.match(await cache.delete('k'), { held: false, stored: true }, 'an expired entry is not held')
})

t.test('only one of the deletes that share a statement reports a deletion', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('k', '1')
  const deletes = await Promise.all([cache.delete('k'), cache.delete('k')])
  t.equal(deletes.filter(({ stored }) => stored).length, 1)
})

t.test('the last of the writes that share a statement is the one that is read', async (t) => {
  const { store, cache } = await liveSidecar()
  const writes = await Promise.all([cache.set('k', '1'), cache.set('k', '2'), cache.set('k', '3')])
  t.match(writes, [{ written: true }, { written: true }, { written: true }])
  t.equal(store.valueOf('k'), '3')
  t.match(cache.hit('k'), { value: '3', version: store.versionOf('k') })
  t.equal(store.statements.filter(({ operation }) => operation === 'write').length, 1)
})

t.test('writes of one key are sent in their order', async (t) => {
  const { store, cache } = await liveSidecar({ maxStatements: 5 })
  const first = store.hold('write')
  const writes = [cache.set('k', '1')]
  await first.reached
  writes.push(cache.set('k', '2'))
  await turn()
  t.equal(store.statements.filter(({ operation }) => operation === 'write').length, 1, 'one at a time')
  first.open()
  await Promise.all(writes)
  t.equal(store.valueOf('k'), '2')
  t.equal((await cache.get('k')).value, '2')
})

t.test('one write that the database refuses fails alone', async (t) => {
  const { store, cache } = await liveSidecar()
  store.refuse('bad')
  const good = ['a', 'b', 'c'].map((key) => cache.set(key, '1'))
  await t.rejects(cache.set('bad', '1'), { code: 'refused' })
  t.match(await Promise.all(good), [{ written: true }, { written: true }, { written: true }])
})

t.test('reads of many keys go in one statement', async (t) => {
  const { store, cache } = await liveSidecar()
  for (const key of ['a', 'b', 'c']) store.setBySql(key, '1')
  await Promise.all(['a', 'b', 'c', 'nowhere'].map((key) => cache.get(key)))
  t.same(
    store.statements.filter(({ operation }) => operation === 'read').map(({ keys }) => keys),
    [['a', 'b', 'c', 'nowhere']],
  )
})

t.test('a failed fill fails for all who joined it, and for nobody later', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('k', '1')
  store.fail('read', 'store-busy', 'after')
  const reads = [cache.get('k'), cache.get('k')]
  for (const read of reads) await t.rejects(read, { code: 'store-busy' })
  t.equal((await cache.get('k')).value, '1')
})

t.test('a request that has waited too long for the database is refused as busy', async (t) => {
  const { clock, store, cache } = await liveSidecar({ maxStatements: 1, maxWaitMs: 1_000 })
  const answer = store.hold('read')
  const first = cache.get('a')
  await answer.reached
  const second = cache.get('b')
  const write = cache.set('c', '1')
  clock.advance(1_001)
  answer.open()
  await first
  await t.rejects(second, { code: 'store-busy' })
  await t.rejects(write, { code: 'store-busy' })
  t.equal(store.valueOf('c'), undefined)
})

t.test('two sidecars agree as soon as changes arrive', async (t) => {
  const one = await liveSidecar()
  const two = await liveSidecar({}, one)
  await one.cache.set('k', '1')
  two.feed.deliver()
  t.equal((await two.cache.get('k')).value, '1')
  await two.cache.set('k', '2')
  one.feed.deliver()
  two.feed.deliver()
  t.equal((await one.cache.get('k')).value, '2')
  t.equal(two.cache.hit('k')?.value, '2', 'its own write stayed')
  await one.cache.delete('k')
  two.feed.deliver()
  t.equal((await two.cache.get('k')).value, undefined)
})

t.test('a change that comes back does not count as a use of the entry', async (t) => {
  const { cache, feed } = await liveSidecar({ capacity: 2 })
  await cache.set('read', '1')
  await cache.set('written', '1')
  t.ok(cache.hit('read'))
  feed.deliver()
  await cache.set('another', '1')
  t.equal(cache.hit('written'), undefined, 'it was evicted')
  t.ok(cache.hit('read'))
})

t.test('the cache stays within its limits of entries and bytes', async (t) => {
  const few = await liveSidecar({ capacity: 2 })
  for (const key of ['a', 'b', 'c']) await few.cache.set(key, '1')
  t.match(few.cache.status(), { size: 2, bytes: 4, stats: { evictions: 1 } })
  t.equal(few.cache.hit('a'), undefined)

  const small = await liveSidecar({ maxBytes: 10 })
  await small.cache.set('a', '12345')
  await small.cache.set('b', '12345')
  t.match(small.cache.status(), { size: 1, bytes: 6, stats: { evictions: 1 } })
  t.match(
    await small.cache.set('large', '1234567890'),
    { written: true },
    'what does not fit is written all the same',
  )
  t.equal(plain(await small.cache.get('large')).source, 'db')
})

t.test('every outcome is counted once', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  const counted = () => {
    const { batchKeys: _, ...counters } = cache.status().stats
    return counters
  }
  const zero = counted()
  t.same(zero, {
    ...Object.fromEntries(Object.keys(zero).map((name) => [name, 0])),
    revalidations: 1,
    feedSessions: 1,
  })

  store.setBySql('k', '1')
  await cache.get('k') // absent
  store.setBySql('w', '1')
  await cache.warm('w') // warmed
  cache.hit('k') // hit
  await cache.get('k') // hit
  clock.advance(ttlMs)
  feed.probe()() // two changes: what they say is held
  await cache.get('k') // expired
  clock.advance(3_001)
  await cache.get('k') // unproven
  store.setBySql('k', '2')
  clock.advance(10_000)
  feed.probe()() // another change, which drops the entry; then a mark is left
  await turn()
  store.stop()
  await cache.set('k', '3') // kept
  await cache.get('k') // stale
  feed.lose()
  store.restart()
  await feed.connect() // sent, and compared
  t.same(counted(), {
    hits: 2,
    negativeHits: 0,
    missesAbsent: 1,
    missesExpired: 1,
    missesUnproven: 1,
    missesRequested: 0,
    coalesced: 0,
    warmed: 1,
    revalidatedFills: 2,
    replicaFills: 0,
    replicaTooRecent: 0,
    replicaUnavailable: 0,
    replicaExpiring: 0, // expired, unproven
    staleServed: 1,
    evictions: 0,
    negativeEvictions: 0,
    changesApplied: 3,
    invalidations: 1,
    revalidations: 2,
    revalidationDrops: 0,
    flushes: 0,
    feedLosses: 1,
    feedSessions: 2,
    writesUnknown: 0,
    pendingSettled: 1,
    pendingConflicts: 0,
  })
})
