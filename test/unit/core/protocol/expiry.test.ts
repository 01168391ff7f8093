/** P12: times to live of rows. A sidecar counts them on its own clock, the database on its own. */
import t from 'tap'
import { liveSidecar, type ModelSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

/** The lease is never in the way. */
const lasting = { maxStalenessMs: Number.POSITIVE_INFINITY }

function outage({ store, feed, clock }: ModelSidecar): void {
  store.stop()
  feed.lose()
  clock.advance(maxStalenessMs + 1)
}

async function recovery({ store, feed }: ModelSidecar): Promise<void> {
  store.restart()
  await feed.connect()
}

t.test(
  'P12: a set with a time to live is served from memory until then, and by nobody after it',
  async (t) => {
    const { store, clock, cache } = await liveSidecar(lasting)
    t.match(await cache.set('k', '1', { ttlMs: 1_000 }), { written: true, expiresInMs: 1_000 })
    clock.advance(400)
    t.match(await cache.get('k'), { value: '1', expiresInMs: 600, ttlMs: 600 })
    clock.advance(600)
    t.match(await cache.get('k'), { value: undefined, forwarded: 'stale' })
    t.equal(store.valueOf('k'), '1', 'the row is still there')
  },
)

t.test('P12: what remains is counted from the moment at which the store was asked', async (t) => {
  const { store, clock, cache } = await liveSidecar(lasting)
  const answer = store.hold('write', 'after')
  const setting = cache.set('k', '1', { ttlMs: 1_000 })
  await turn()
  clock.advance(300)
  answer.open()
  t.match(await setting, { expiresInMs: 700 })
  clock.advance(700)
  t.equal(cache.hit('k'), undefined)
})

t.test('P12: a set without a time to live ends an earlier one', async (t) => {
  const { clock, cache } = await liveSidecar(lasting)
  await cache.set('k', '1', { ttlMs: 1_000 })
  t.match(await cache.set('k', '2'), { expiresInMs: undefined })
  clock.advance(1_000)
  t.match(await cache.get('k'), { value: '2', expiresInMs: undefined })
})

t.test('P12: sets with and without a time to live are sent in two statements', async (t) => {
  const { store, cache } = await liveSidecar()
  await Promise.all([
    cache.set('a', '1'),
    cache.set('b', '1', { ttlMs: 1_000 }),
    cache.set('c', '1'),
    cache.set('d', '1', { ttlMs: 2_000 }),
  ])
  const writes = store.statements.filter(({ operation }) => operation === 'write')
  t.same(
    writes.map(({ keys }) => keys),
    [
      ['a', 'c'],
      ['b', 'd'],
    ],
  )
})

t.test('P12: of several sets of one key, the last one decides', async (t) => {
  const { store, clock, cache } = await liveSidecar(lasting)
  const first = store.hold('write')
  const sets = [cache.set('k', '0'), cache.set('k', '1', { ttlMs: 1_000 }), cache.set('k', '2')]
  await turn()
  first.open()
  await Promise.all(sets)
  clock.advance(1_000)
  t.match(await cache.get('k'), { value: '2' })
})

t.test('P12: the end of a row that had expired need not be announced', async (t) => {
  const shared = await liveSidecar(lasting)
  const other = await liveSidecar(lasting, shared)
  const { store, clock, feed, cache } = shared
  await cache.set('k', '1', { ttlMs: 1_000 })
  t.match(await other.cache.get('k'), { value: '1' })
  feed.deliver()
  other.feed.deliver()
  clock.advance(1_000)
  store.sweep()
  t.equal(store.valueOf('k'), undefined)
  for (const sidecar of [shared, other]) {
    t.equal(sidecar.cache.status().stats.invalidations, 0)
    t.equal(sidecar.cache.hit('k'), undefined)
    t.match(await sidecar.cache.get('k'), { value: undefined })
  }
})

t.test('P12: a delete of an entry that has expired deletes nothing, and the feed goes on', async (t) => {
  const { clock, feed, cache } = await liveSidecar(lasting)
  await cache.set('k', '1', { ttlMs: 1_000 })
  feed.deliver()
  clock.advance(1_000)
  t.match(await cache.delete('k'), { held: false, stored: false })
  feed.probe()()
  t.equal(cache.status().feed, 'live', 'although the delete is not announced')
})

t.test('P12: corrections of the database clock add up to a jump', async (t) => {
  const { store, clock, feed, cache } = await liveSidecar(lasting)
  await cache.set('k', '1', { ttlMs: 60_000 })
  feed.deliver()
  feed.probe()()
  for (const _ of Array.from({ length: 3 })) {
    store.putClockForward(400)
    clock.advance(100)
    feed.probe()()
  }
  t.equal(cache.hit('k'), undefined)
})

// --- Pending writes ---

t.test('P12: a pending write is served until it expires; then there is no entry', async (t) => {
  const sidecar = await liveSidecar()
  const { clock, cache } = sidecar
  outage(sidecar)
  t.match(await cache.set('k', '1', { ttlMs: 1_000 }), { written: false, expiresInMs: 1_000 })
  clock.advance(999)
  t.match(await cache.get('k'), { value: '1', stale: 'kept', expiresInMs: 1 })
  const { pendingBytes } = cache.status()
  clock.advance(1)
  t.match(await cache.get('k'), { value: undefined, stale: 'kept' })
  t.match(cache.status(), { pendingWrites: 1, pendingBytes }, 'it is still to be sent')
})

t.test('P12: a pending write is sent with the time that remains', async (t) => {
  const sidecar = await liveSidecar(lasting)
  const { clock, cache } = sidecar
  outage(sidecar)
  await cache.set('k', '1', { ttlMs: 1_000 })
  clock.advance(400)
  await recovery(sidecar)
  t.match(await cache.get('k'), { value: '1', expiresInMs: 600 })
  clock.advance(600)
  t.match(await cache.get('k'), { value: undefined })
})

t.test('P12: a later pending write without a time to live does not expire', async (t) => {
  const sidecar = await liveSidecar(lasting)
  const { clock, cache } = sidecar
  outage(sidecar)
  await cache.set('k', '1', { ttlMs: 1_000 })
  await cache.set('k', '2')
  clock.advance(1_000)
  t.match(await cache.get('k'), { value: '2' })
  await recovery(sidecar)
  t.match(await cache.get('k'), { value: '2', stale: undefined, expiresInMs: undefined })
})

t.test('P12: a pending write that has expired is sent as a delete', async (t) => {
  const sidecar = await liveSidecar()
  const { store, clock, cache } = sidecar
  store.setBySql('k', '"old"')
  await cache.get('k')
  outage(sidecar)
  await cache.set('k', '1', { ttlMs: 1_000 })
  clock.advance(1_000)
  await recovery(sidecar)
  t.equal(store.valueOf('k'), undefined, 'neither the old nor the new value is served')
  t.match(cache.status().stats, { pendingSettled: 1, pendingConflicts: 0 })
})

t.test('P12: a pending write that has expired does not delete what others have written', async (t) => {
  const sidecar = await liveSidecar()
  const { store, clock, cache } = sidecar
  store.setBySql('k', '"old"')
  await cache.get('k')
  outage(sidecar)
  await cache.set('k', '1', { ttlMs: 1_000 })
  clock.advance(1_000)
  store.setBySql('k', '"theirs"')
  await recovery(sidecar)
  t.equal(store.valueOf('k'), '"theirs"')
  t.match(cache.status().stats, { pendingSettled: 0, pendingConflicts: 1 })
})

t.test(
  'P12: a pending write whose transaction was lost with the connection is judged as it was sent',
  async (t) => {
    const sidecar = await liveSidecar()
    const { store, clock, feed, cache } = sidecar
    outage(sidecar)
    await cache.set('k', '1', { ttlMs: 1_000 })
    store.restart()
    store.fail('settle', 'outcome-unknown', 'after')
    await feed.connect().catch(() => feed.lose())
    clock.advance(1_000)
    await recovery(sidecar)
    t.match(cache.status(), { pendingWrites: 0, stats: { pendingSettled: 1, pendingConflicts: 0 } })
    t.equal(store.valueOf('k'), '1', 'it was a set then')
  },
)

t.test('P12: a row that has expired and was removed meanwhile is no conflict', async (t) => {
  const sidecar = await liveSidecar()
  const { store, clock, cache } = sidecar
  await cache.set('held', '"old"', { ttlMs: 5_000 })
  await cache.set('written', '"old"', { ttlMs: 5_000 })
  sidecar.feed.deliver()
  sidecar.feed.probe()()
  outage(sidecar)
  store.restart()
  store.fail('write', 'outcome-unknown')
  await t.rejects(cache.set('unknown', '1', { ttlMs: 1_000 }))
  store.fail('write', 'outcome-unknown')
  await t.rejects(cache.writeAll([{ key: 'in a batch', value: '1', ttlMs: 1_000, condition: {} }]))
  store.stop()
  for (const key of ['held', 'written', 'unknown', 'in a batch']) await cache.set(key, '"new"')
  clock.advance(5_000)
  store.sweep()
  await recovery(sidecar)
  t.match(cache.status().stats, { pendingSettled: 4, pendingConflicts: 0 })
  for (const key of ['held', 'in a batch']) t.equal(store.valueOf(key), '"new"')
})

t.test('P12: a row that was deleted before it could expire is a conflict', async (t) => {
  const sidecar = await liveSidecar()
  const { store, clock, cache } = sidecar
  await cache.set('k', '"old"', { ttlMs: 60_000 })
  sidecar.feed.deliver()
  outage(sidecar)
  await cache.set('k', '"new"')
  clock.advance(1_000)
  store.deleteBySql('k')
  await recovery(sidecar)
  t.equal(store.valueOf('k'), undefined)
  t.match(cache.status().stats, { pendingSettled: 0, pendingConflicts: 1 })
})
