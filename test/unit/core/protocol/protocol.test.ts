/** The rules of docs/protocol.md, by their numbers. P9 has a file of its own: outage.test.ts. */
import t from 'tap'
import type { Cache } from '../../../../src/core/cache.js'
import { hasCode } from '../../../../src/core/errors.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { liveSidecar, maxStalenessMs, modelSidecar, ttlMs } from '../../../support/model-sidecar.js'
import { ModelStore } from '../../../support/model-store.js'
import { plain } from '../../../support/plain.js'
import { turn } from '../../../support/turn.js'

const old = '"old"'
const recent = '"new"'

/** A live sidecar that holds `k` = old. */
async function warmSidecar(...args: Parameters<typeof liveSidecar>) {
  const sidecar = await liveSidecar(...args)
  const version = sidecar.store.setBySql('k', old)
  sidecar.feed.deliver()
  await sidecar.cache.get('k')
  return { ...sidecar, version, held: () => sidecar.cache.hit('k')?.value }
}

// --- P1: version ---

t.test('P1: a change with a lower version than the one held is still a change', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const slow = store.stamp() // another transaction stamps its row first ...
  store.setBySql('k', old)
  feed.deliver()
  await cache.get('k')
  t.equal(cache.hit('k')?.value, old)

  store.setBySql('k', recent, { version: slow }) // ... and commits last
  feed.deliver()
  t.equal(cache.hit('k'), undefined)
  t.equal((await cache.get('k')).value, recent)
})

t.test('P1: a change with a lower version than the one being read keeps it out of memory', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const slow = store.stamp()
  store.setBySql('k', old)
  feed.deliver()
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached

  store.setBySql('k', recent, { version: slow })
  feed.deliver()
  answer.open()
  t.equal((await reading).value, old)
  t.equal(cache.hit('k'), undefined)
})

t.test('P1: the version of an absent key is not from the sequence, and drops the entry', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  await cache.get('k')

  t.match(store.deleteBySql('k'), /^-/)
  feed.deliver()
  t.equal((await cache.get('k')).value, undefined)
})

// --- P2: a change arrives ---

t.test('P2: a change made anywhere else drops the entry', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  const elsewhere = await liveSidecar({}, { store, clock })
  await elsewhere.cache.set('k', recent)
  t.equal(held(), old, 'until the change arrives')
  feed.deliver()
  t.equal(held(), undefined)
  t.equal(cache.status().stats.invalidations, 1)
  t.same(plain(await cache.get('k')), { value: recent, source: 'db', stale: false })

  store.deleteBySql('k')
  feed.deliver()
  t.equal((await cache.get('k')).value, undefined)
})

t.test('P2: a change of one key leaves the others', async (t) => {
  const { store, feed, cache } = await warmSidecar()
  await cache.set('other', recent)
  store.setBySql('k', recent)
  feed.deliver()
  t.equal(cache.hit('other')?.value, recent)
})

t.test("P2: a sidecar's own write, coming back, costs nothing", async (t) => {
  const { store, feed, cache, held } = await warmSidecar()
  await cache.set('k', recent)
  const { invalidations } = cache.status().stats
  feed.deliver()
  t.equal(held(), recent)
  t.equal(cache.status().stats.invalidations, invalidations)
  t.equal(store.statements.filter(({ operation }) => operation === 'read').length, 1, 'the first fill')
})

t.test('P2: a change of a key that is too long to be named drops the entry', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const key = 'é'.repeat(300)
  await cache.set(key, old)
  feed.deliver()
  t.equal(cache.hit(key)?.value, old)
  store.setBySql(key, recent)
  feed.deliver()
  t.equal((await cache.get(key)).value, recent)
})

// --- P3: fill and write ---

t.test('P3: a value that was read before a change and arrives after it is not cached', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached

  store.setBySql('k', recent)
  feed.deliver()
  answer.open()
  t.same(plain(await reading), { value: old, source: 'db', stale: false }, 'it was asked before the change')
  t.equal(cache.hit('k'), undefined)
  t.equal((await cache.get('k')).value, recent)
})

t.test(
  'P3: a change that was on its way when the fill began is no obstacle when it is what was read',
  async (t) => {
    const { store, feed, cache } = await liveSidecar()
    store.setBySql('k', recent)
    const answer = store.hold('read', 'after')
    const reading = cache.get('k')
    await answer.reached
    feed.deliver()
    answer.open()
    await reading
    t.equal(cache.hit('k')?.value, recent)
  },
)

t.test(
  'P3: one of two changes during a fill that differs from the value read keeps it out of memory',
  async (t) => {
    const { store, feed, cache } = await liveSidecar()
    const answer = store.hold('read', 'after')
    store.setBySql('k', old)
    const reading = cache.get('k')
    await answer.reached
    store.setBySql('k', recent)
    feed.deliver()
    answer.open()
    await reading
    t.equal(cache.hit('k'), undefined)
  },
)

t.test('P3: a value read before a delete through this sidecar is not cached', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached
  await cache.delete('k')
  answer.open()
  await reading
  t.equal(cache.hit('k'), undefined)
})

t.test(
  'P3: a fill that was under way when the feed was lost caches nothing, even once it is back',
  async (t) => {
    const { store, feed, cache } = await liveSidecar()
    store.setBySql('k', old)
    feed.deliver()
    const answer = store.hold('read', 'after')
    const reading = cache.get('k')
    await answer.reached

    feed.lose()
    store.setBySql('k', recent) // the change is not announced to us
    await feed.connect()
    answer.open()
    t.equal((await reading).value, old)
    t.equal(cache.hit('k'), undefined)
  },
)

t.test('P3: a fill that began before the feed was live caches nothing', async (t) => {
  const { store, feed, cache } = modelSidecar()
  store.setBySql('k', old)
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached
  store.setBySql('k', recent) // before LISTEN: the change is not announced to us
  await feed.connect()
  answer.open()
  await reading
  t.equal(cache.hit('k'), undefined)
})

t.test('P3: a fill that began during catch-up caches nothing', async (t) => {
  const { store, feed, cache } = modelSidecar()
  store.setBySql('k', old)
  const comparing = store.hold('position')
  const connecting = feed.connect()
  await comparing.reached
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached
  comparing.open()
  await connecting
  answer.open()
  await reading
  t.equal(cache.hit('k'), undefined)
})

t.test('P3: a fill that was under way when everything may have changed caches nothing', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached
  clock.advance(1_000) // since the last comparison
  store.setManyBySql({ k: recent })
  feed.deliver()
  await turn()
  t.equal(cache.status().feed, 'live')
  answer.open()
  await reading
  t.equal(cache.hit('k'), undefined)
})

t.test('P3: a fill in flight when doubt arises is cached and then compared like the rest', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  const comparing = store.hold('position')
  clock.advance(1_000) // since the last comparison
  store.setManyBySql({ another: old })
  feed.deliver()
  await comparing.reached
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached
  store.setManyBySql({ k: recent })
  feed.deliver()
  comparing.open()
  await turn()
  answer.open()
  t.match(await reading, { value: old, stored: true }, 'within the bound')
  t.equal(cache.status().feed, 'catching-up')
  clock.advance(1_000)
  feed.probe()()
  await turn()
  t.equal(cache.hit('k'), undefined)
  t.equal(cache.status().feed, 'live')
})

t.test('P3: a write is served from memory as soon as it is acknowledged', async (t) => {
  const { cache, held } = await warmSidecar()
  t.match(await cache.set('k', recent), { written: true })
  t.equal(held(), recent)
})

t.test("P3: a write overtaken by somebody else's does not hide it", async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const answer = store.hold('write', 'after')
  const writing = cache.set('k', old)
  await answer.reached
  store.setBySql('k', recent)
  feed.deliver()
  answer.open()
  t.match(await writing, { written: true })
  t.equal(cache.hit('k'), undefined)
  t.equal((await cache.get('k')).value, recent)
})

t.test("P3: a later write with a lower version than another client's still counts as the last", async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const early = store.stamp()
  const answer = store.hold('write', 'after')
  const writing = cache.set('k', old)
  await answer.reached
  store.setBySql('k', recent, { version: early })
  feed.deliver()
  answer.open()
  await writing
  t.equal((await cache.get('k')).value, recent)
})

t.test('P3: a write during which the feed is lost is stored but not cached', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const answer = store.hold('write', 'after')
  const writing = cache.set('k', old)
  await answer.reached
  feed.lose()
  store.setBySql('k', recent) // the change is not announced to us
  await feed.connect()
  answer.open()
  t.match(await writing, { written: true })
  t.equal((await cache.get('k')).value, recent)
})

t.test('P3: a write that began before the feed was live is stored but not cached', async (t) => {
  const { store, feed, cache } = modelSidecar()
  const answer = store.hold('write', 'after')
  const writing = cache.set('k', old)
  await answer.reached
  store.setBySql('k', recent)
  await feed.connect()
  answer.open()
  t.match(await writing, { written: true })
  t.equal((await cache.get('k')).value, recent)
})

for (const happened of [true, false]) {
  const what = happened ? 'and has happened' : 'and has not happened'
  t.test(
    `P3: a write with an unknown outcome, ${what}, is reported as such and drops the entry`,
    async (t) => {
      const { store, cache, held } = await warmSidecar()
      store.fail('write', 'outcome-unknown', happened ? 'after' : 'before')
      const error = await cache.set('k', recent).then(
        () => t.fail('never ok'),
        (error: unknown) => error,
      )
      t.ok(hasCode(error, 'outcome-unknown'), 'never failed')
      t.equal(held(), undefined)
      t.equal((await cache.get('k')).value, happened ? recent : old)
      const { stats, pendingWrites } = cache.status()
      t.match({ unknown: stats.writesUnknown, pendingWrites }, { unknown: 1, pendingWrites: 0 })
    },
  )

  t.test(
    `P3: a delete with an unknown outcome, ${what}, is reported as such and drops the entry`,
    async (t) => {
      const { store, cache, held } = await warmSidecar()
      store.fail('remove', 'outcome-unknown', happened ? 'after' : 'before')
      await t.rejects(cache.delete('k'), { code: 'outcome-unknown' })
      t.equal(held(), undefined)
      t.equal((await cache.get('k')).value, happened ? undefined : old)
    },
  )
}

t.test('P3: a fill in flight when a write ends with an unknown outcome caches nothing', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached
  store.fail('write', 'outcome-unknown', 'after')
  await t.rejects(cache.set('k', recent), { code: 'outcome-unknown' })
  answer.open()
  await reading
  t.equal(cache.hit('k'), undefined)
})

t.test('P3: a write that certainly did not happen leaves the entry alone', async (t) => {
  const { store, cache, held } = await warmSidecar()
  store.refuse('k')
  await t.rejects(cache.set('k', recent), { code: 'refused' })
  t.equal(held(), old)
})

t.test('P3: a write after a failover is read back, even if its version equals a cached one', async (t) => {
  const { store, feed, cache, held, version } = await warmSidecar()
  store.failOver('1-00000002', { rows: new Map(), drawn: BigInt(version) - 1n })
  feed.lose()
  await cache.set('k', recent)
  t.equal(store.versionOf('k'), version)
  t.not(held(), old, 'the earlier value')
})

// --- P4: joining a flight ---

t.test('P4: readers of a missing key share one query', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('k', old)
  const answer = store.hold('read')
  const first = cache.get('k')
  await answer.reached
  const others = [cache.get('k'), cache.get('k')]
  answer.open()
  for (const read of await Promise.all([first, ...others])) t.equal(read.value, old)
  t.equal(store.statements.filter(({ operation }) => operation === 'read').length, 1)
  t.equal(cache.status().stats.coalesced, 2)
})

t.test('P4: a read after a change does not join a fill that began before it', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  const answer = store.hold('read', 'after')
  const before = cache.get('k')
  await answer.reached
  store.setBySql('k', recent)
  feed.deliver()
  t.equal((await cache.get('k')).value, recent)
  answer.open()
  t.equal((await before).value, old)
  t.equal(cache.hit('k')?.value, recent, 'and the earlier fill does not undo the later one')
})

t.test(
  'P4: a reader who comes after a write through this sidecar sees it, its change still on its way',
  async (t) => {
    const { store, feed, cache } = await liveSidecar()
    store.setBySql('k', old)
    feed.deliver()
    const answer = store.hold('read', 'after')
    const before = cache.get('k')
    await answer.reached
    feed.lose() // so that the write is not served from memory
    await cache.set('k', recent)
    t.equal((await cache.get('k')).value, recent)
    answer.open()
    await before
  },
)

t.test('P4: a read after the feed was lost does not join a fill from before', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  const answer = store.hold('read', 'after')
  const before = cache.get('k')
  await answer.reached
  feed.lose()
  store.setBySql('k', recent)
  t.equal((await cache.get('k')).value, recent)
  answer.open()
  await before
})

t.test('P4: with the feed down, a fill in flight is joined only while it is recent enough', async (t) => {
  const { clock, store, cache } = modelSidecar()
  store.setBySql('k', old)
  const answer = store.hold('read', 'after')
  const first = cache.get('k')
  await answer.reached
  clock.advance(maxStalenessMs)
  const joined = cache.get('k')
  await turn()
  t.equal(cache.status().stats.coalesced, 1)
  store.setBySql('k', recent)
  clock.advance(1)
  t.equal((await cache.get('k')).value, recent)
  answer.open()
  t.equal((await first).value, old)
  t.equal((await joined).value, old)
})

// --- P5: feed lost ---

t.test('P5: entries stay when the feed is lost, and are served while the lease lasts', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  feed.lose()
  t.equal(cache.status().feed, 'down')
  clock.advance(maxStalenessMs)
  t.equal(held(), old)
  clock.advance(1)
  t.equal(held(), undefined)
  t.equal(cache.status().size, 1, 'unproven, not gone')

  await feed.connect()
  t.equal(held(), old)
  t.equal(store.statements.filter(({ operation }) => operation === 'read').length, 1)
})

t.test('P5: one loss is counted and reported once, however many attempts follow', async (t) => {
  const { feed, cache, logged } = await warmSidecar()
  feed.lose('cable cut')
  feed.lose('no route')
  t.equal(cache.status().stats.feedLosses, 1)
  const losses = logged.filter(({ message }) => message === 'change feed lost')
  t.match(losses, [{ level: 'warn', fields: { reason: 'cable cut' } }])
  t.equal(losses.length, 1)
})

// --- P6: feed back ---

t.test('P6: a warm cache survives a short disconnect, without the entries that changed', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  for (const key of ['same', 'set', 'deleted', 'replaced']) await cache.set(key, old)
  feed.lose()
  store.setBySql('set', recent)
  store.deleteBySql('deleted')
  store.deleteBySql('replaced')
  store.setBySql('replaced', recent)
  await feed.connect()

  t.equal(cache.hit('same')?.value, old)
  for (const key of ['set', 'deleted', 'replaced']) t.equal(cache.hit(key), undefined, key)
  t.match(cache.status(), { feed: 'live', size: 1, stats: { revalidationDrops: 3 } })
})

t.test(
  'P6: the version is what is compared: the same value, written again, is another version',
  async (t) => {
    const { store, feed, held } = await warmSidecar()
    feed.lose()
    store.setBySql('k', old)
    await feed.connect()
    t.equal(held(), undefined)
  },
)

t.test('P6: the feed is live only after every version has been compared', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  feed.lose()
  clock.advance(maxStalenessMs + 1)
  const answer = store.hold('versions', 'after')
  const connecting = feed.connect()
  await answer.reached
  t.equal(cache.status().feed, 'catching-up')
  t.equal(held(), undefined, 'not served on the strength of the connection alone')
  answer.open()
  await connecting
  t.equal(cache.status().feed, 'live')
  t.equal(held(), old)
})

t.test(
  'P6: the position of the database is asked before anything is compared, and both after LISTEN',
  async (t) => {
    const { store, feed } = await warmSidecar()
    feed.lose()
    store.statements.length = 0
    await feed.connect()
    t.same(
      store.statements.map(({ operation }) => operation),
      ['position', 'versions', 'mark'],
    )
  },
)

t.test('P6: a comparison from before LISTEN proves nothing', async (t) => {
  const { store, feed, held } = await warmSidecar()
  feed.lose()
  const answer = store.hold('versions', 'after')
  const first = feed.connect()
  await answer.reached // compared: the version still holds ...
  feed.lose() // ... but this session is gone before it heard the answer
  store.setBySql('k', recent) // ... so that the change is not announced to us
  const second = feed.connect()
  answer.open()
  await Promise.all([first, second])
  t.equal(held(), undefined)
})

t.test('P6: a comparison that ends after its session does not bring the feed back', async (t) => {
  const { store, feed, cache } = await warmSidecar()
  feed.lose()
  const answer = store.hold('versions', 'after')
  const connecting = feed.connect()
  await answer.reached
  feed.lose()
  answer.open()
  await connecting
  t.equal(cache.status().feed, 'down')
})

t.test('P6: a change that arrives during the comparison is applied', async (t) => {
  const { store, feed, held } = await warmSidecar()
  feed.lose()
  const answer = store.hold('versions', 'after')
  const connecting = feed.connect()
  await answer.reached
  store.setBySql('k', recent)
  feed.deliver()
  t.equal(held(), undefined)
  answer.open()
  await connecting
  t.equal(held(), undefined)
})

t.test('P6: the lease begins with LISTEN, however long the comparison takes', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  feed.lose()
  const answer = store.hold('versions', 'after')
  const connecting = feed.connect()
  await answer.reached
  clock.advance(2_000)
  answer.open()
  await connecting
  t.equal(cache.status().leaseAgeMs, 2_000)
  clock.advance(maxStalenessMs - 2_000)
  t.equal(held(), old)
  clock.advance(1)
  t.equal(held(), undefined)
})

t.test('P6: another history of the database drops everything, equal versions too', async (t) => {
  const { store, feed, cache, held, logged, version } = await warmSidecar()
  const behind = { rows: new Map(), drawn: BigInt(version) - 1n } // the standby had not got our write yet
  feed.lose()
  store.failOver('1-00000002', behind)
  t.equal(store.setBySql('k', recent), version, 'the same version means something else now')
  await feed.connect()

  t.equal(held(), undefined)
  t.equal((await cache.get('k')).value, recent)
  t.equal(cache.status().stats.flushes, 1)
  t.ok(logged.some(({ level, message }) => level === 'warn' && message.includes('another history')))
})

t.test('P6: the first contact is not reported as another history', async (t) => {
  const { cache, logged } = await liveSidecar()
  t.equal(cache.status().stats.flushes, 0)
  t.same(
    logged.filter(({ level }) => level === 'warn'),
    [],
  )
})

t.test(
  'P6: if everything may have changed, all entries are compared again while reads continue',
  async (t) => {
    const { clock, store, feed, cache } = await liveSidecar()
    await cache.set('same', old)
    await cache.set('k', old)
    feed.deliver()
    clock.advance(1_000) // since the last comparison
    store.setManyBySql({ k: recent })
    const answer = store.hold('versions', 'after')
    feed.deliver()
    await answer.reached
    t.equal(cache.status().feed, 'catching-up')
    t.equal(cache.hit('same')?.value, old, 'within the lease, which is the promise')
    answer.open()
    await turn()
    t.equal(cache.status().feed, 'live')
    t.equal(cache.hit('same')?.value, old)
    t.equal(cache.hit('k'), undefined)
  },
)

t.test('P6: a doubt that arises during a comparison is resolved after the next probe', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  const answer = store.hold('versions', 'after')
  feed.probe()()
  clock.advance(1_000) // since the last comparison
  store.setManyBySql({ another: recent })
  feed.deliver()
  await answer.reached
  store.setManyBySql({ k: recent })
  feed.deliver()
  answer.open()
  await turn()
  t.equal(cache.status().feed, 'catching-up')
  t.equal(cache.status().stats.revalidations, 2, 'not at once')
  t.equal(held(), old, 'within the bound')
  store.setBySql('new', old)
  feed.deliver()
  await cache.get('new')
  t.ok(cache.hit('new'), 'what is read meanwhile is put')

  clock.advance(1_000)
  const probe = feed.probe()
  clock.advance(100)
  probe()
  await turn()
  t.equal(held(), undefined)
  t.match(cache.status(), { feed: 'live', leaseAgeMs: 100 })
  t.equal(cache.status().stats.revalidations, 3)
})

t.test('P6: entries are served even if notifications that name no change never stop', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  for (let second = 0; second < 20; second++) {
    for (let time = 0; time < 5; time++) {
      clock.advance(200)
      // Any role of the database may send this.
      cache.changed({ kind: 'everything' })
      t.equal(held(), old, `after ${second}.${time} s`)
      t.equal((await cache.get('k')).forwarded, undefined)
    }
    await turn()
    const asking = store.hold('position')
    cache.changed({ kind: 'everything' })
    feed.probe()()
    await asking.reached
    clock.advance(300)
    cache.changed({ kind: 'everything' })
    asking.open()
    await turn()
    t.equal(cache.status().feed, 'catching-up', 'the next comparison waits for the next probe')
    feed.probe()()
    await turn()
  }
})

t.test('P6: notifications that name no change cost at most one comparison per probe', async (t) => {
  const { clock, feed, cache } = await warmSidecar()
  const { stats } = cache.status()
  const before = stats.revalidations
  for (let time = 1; time < 100; time++) {
    clock.advance(10)
    cache.changed({ kind: 'everything' })
    await turn()
  }
  t.equal(stats.revalidations - before, 0, 'the last one began less than a second ago')
  feed.probe()()
  await turn()
  t.equal(stats.revalidations - before, 1)
  t.equal(cache.status().feed, 'live')
})

t.test('P6: a failed comparison is reported to the feed, which starts again', async (t) => {
  const { store, feed, cache } = await warmSidecar()
  feed.lose()
  store.fail('versions', 'store-unavailable')
  await t.rejects(feed.connect(), { code: 'store-unavailable' })
  t.equal(cache.status().feed, 'catching-up')
  feed.lose()
  await feed.connect()
  t.equal(cache.status().feed, 'live')
})

// --- P7: lease ---

t.test('P7: no fresh hit is older than the bound, whatever the feed says', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  feed.cut() // unnoticed
  store.setBySql('k', recent)
  clock.advance(maxStalenessMs)
  t.equal(held(), old, 'up to the bound')
  clock.advance(1)
  t.equal(held(), undefined, 'and not beyond')
  t.equal(cache.status().feed, 'live', 'though the feed looks well')
  t.equal((await cache.get('k')).value, recent)
})

t.test('P7: every probe answered renews the lease', async (t) => {
  const { clock, feed, cache, held } = await warmSidecar()
  for (let probes = 0; probes < 10; probes++) {
    clock.advance(1_000)
    feed.probe()()
    t.equal(cache.status().leaseAgeMs, 0)
  }
  t.equal(held(), old)
})

t.test('P7: the lease counts from the moment the probe was sent, not from its answer', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  clock.advance(1_000)
  const answer = feed.probe()
  feed.cut()
  store.setBySql('k', recent) // after the server answered the probe, and not announced to us
  clock.advance(2_500)
  answer()
  t.equal(cache.status().leaseAgeMs, 2_500)
  t.equal(held(), old)
  clock.advance(501)
  t.equal(held(), undefined, 'old for longer than the bound')
})

t.test('P7: answers out of order do not shorten the lease', async (t) => {
  const { clock, feed, cache } = await warmSidecar()
  const first = feed.probe()
  clock.advance(1_000)
  const second = feed.probe()
  second()
  first()
  t.equal(cache.status().leaseAgeMs, 0)
})

t.test('P7: incoming changes do not renew the lease', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  clock.advance(2_000)
  store.setBySql('other', recent)
  store.setBySql('k', recent) // on its way, behind the other
  feed.deliver(1)
  t.equal(cache.status().leaseAgeMs, 2_000)
  clock.advance(maxStalenessMs - 2_000 + 1)
  t.equal(held(), undefined)
})

t.test("P7: a sidecar's own traffic does not renew the lease", async (t) => {
  const { clock, store, feed, cache } = await warmSidecar()
  clock.advance(2_000)
  store.setBySql('other', old)
  await cache.get('other')
  await cache.set('another', recent)
  await cache.delete('another')
  feed.deliver()
  t.equal(cache.status().leaseAgeMs, 2_000)
})

t.test('P7: the answer to a probe of an ended session proves nothing', async (t) => {
  const { clock, store, feed, cache, held } = await warmSidecar()
  feed.lose()
  clock.advance(maxStalenessMs)
  t.throws(() => cache.proven(clock.now(), store.now()), 'no feed should say so')
  clock.advance(1)
  t.equal(held(), undefined)

  store.setBySql('k', recent)
  const comparing = store.hold('versions')
  const connecting = feed.connect()
  await comparing.reached
  clock.advance(100)
  feed.probe()()
  t.equal(held(), undefined, 'nor one before the cache has caught up')
  comparing.open()
  await connecting
  t.equal(cache.status().leaseAgeMs, 0, 'but then it counts')
})

t.test('P7: nothing is fresh before the first contact', async (t) => {
  const { cache } = modelSidecar()
  t.equal(cache.status().leaseAgeMs, Number.POSITIVE_INFINITY)
  t.equal(cache.hit('k'), undefined)
})

// --- P8: feed down, database up ---

t.test(
  'P8: when the lease has run out, reads go to the primary, together, and nothing is cached',
  async (t) => {
    const { clock, store, feed, cache } = await warmSidecar()
    feed.lose()
    store.setBySql('k', recent)
    clock.advance(maxStalenessMs + 1)
    store.statements.length = 0
    const reads = await Promise.all([cache.get('k'), cache.get('k'), cache.get('k')])
    for (const read of reads) t.same(plain(read), { value: recent, source: 'db', stale: false })
    t.equal(store.statements.length, 1)

    await cache.get('k')
    t.equal(store.statements.length, 2, 'asked again: nothing was kept')
    await cache.get('another')
    t.equal(cache.status().size, 1, 'only what was there before')
  },
)

t.test('P8: while the lease lasts, a miss is read from the primary and not cached', async (t) => {
  const { store, feed, cache } = await warmSidecar()
  feed.lose()
  store.setBySql('other', old)
  t.equal((await cache.get('other')).value, old)
  t.equal(cache.hit('other'), undefined)
})

t.test('P8: with `stale`, entries within their time to live are served and marked', async (t) => {
  const { clock, store, feed, cache } = await warmSidecar({ onFeedLoss: 'stale' })
  feed.lose()
  t.same(plain(await cache.get('k')), { value: old, source: 'cache', stale: false }, 'still within the lease')
  clock.advance(maxStalenessMs + 1)
  store.setBySql('k', recent)
  t.same(plain(await cache.get('k')), { value: old, source: 'cache', stale: true })
  clock.advance(ttlMs)
  t.same(plain(await cache.get('k')), { value: recent, source: 'db', stale: false })
})

t.test('P8: with `stale`, a write through this sidecar is not hidden by the previous value', async (t) => {
  const { clock, feed, cache } = await warmSidecar({ onFeedLoss: 'stale' })
  feed.lose()
  clock.advance(maxStalenessMs + 1)
  await cache.set('k', recent)
  t.same(plain(await cache.get('k')), { value: recent, source: 'db', stale: false })
})

// --- P12: time to live ---

t.test('P12: an entry is served until its time to live is over', async (t) => {
  const { clock, feed, cache, held } = await warmSidecar()
  clock.advance(ttlMs - 1)
  feed.probe()()
  t.equal(held(), old)
  clock.advance(1)
  t.equal(held(), undefined)
  t.equal(plain(await cache.get('k')).source, 'db')
  t.equal(cache.status().stats.missesExpired, 1)
})

t.test('P12: an entry that expires earlier in the database expires earlier here', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  store.setBySql('k', old, { remainingMs: 500 })
  await cache.get('k')
  feed.deliver()
  clock.advance(499)
  t.equal(cache.hit('k')?.value, old)
  clock.advance(1)
  t.equal(cache.hit('k'), undefined)
  t.equal((await cache.get('k')).value, undefined, 'as in the database')
})

t.test('P12: a write that expires by default is served until then', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  store.expireByDefault(1_000)
  await cache.set('k', recent)
  t.equal(cache.hit('k')?.value, recent)
  clock.advance(999)
  feed.probe()()
  t.equal(cache.hit('k')?.value, recent)
  clock.advance(1)
  feed.probe()()
  t.equal(cache.hit('k'), undefined)
})

t.test(
  'P12: what remains is counted from the question, so that a slow answer does not add to it',
  async (t) => {
    const { clock, store, cache } = await liveSidecar()
    store.setBySql('k', old, { remainingMs: 500 })
    const answer = store.hold('read', 'after')
    const reading = cache.get('k')
    await answer.reached
    clock.advance(400)
    answer.open()
    await reading
    clock.advance(99)
    t.equal(cache.hit('k')?.value, old)
    clock.advance(1)
    t.equal(cache.hit('k'), undefined)
  },
)

t.test('P12: without a configured time to live, only the lease decides', async (t) => {
  const { clock, feed, held } = await warmSidecar({ ttlMs: Number.POSITIVE_INFINITY })
  clock.advance(365 * 24 * 3_600_000)
  t.equal(held(), undefined)
  feed.probe()()
  t.equal(held(), old)
})

t.test('P12: the wall clock of this machine does not matter', async (t) => {
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old, { remainingMs: 500 })
  await cache.get('k')
  feed.deliver()
  Date.now = () => now() + 365 * 24 * 3_600_000
  t.equal(cache.hit('k')?.value, old)
})

t.test(
  'P12: after the clock of the database jumps forward, an entry that expires by it is not served',
  async (t) => {
    const { clock, store, feed, cache } = await liveSidecar()
    store.setBySql('k', old, { remainingMs: 60_000 })
    store.setBySql('forever', old)
    feed.probe()()
    await cache.get('k')
    await cache.get('forever')
    clock.advance(1_000)
    feed.probe()()
    t.equal(cache.hit('k')?.value, old)
    store.putClockForward(900)
    clock.advance(1_000)
    feed.probe()()
    t.equal(cache.hit('k')?.value, old, 'a clock that is corrected a little')
    const answer = store.hold('read', 'after')
    store.setBySql('k2', old, { remainingMs: 60_000 })
    feed.deliver()
    const reading = cache.get('k2')
    await answer.reached
    store.putClockForward(3_600_000)
    clock.advance(1_000)
    feed.probe()()
    await turn()
    t.equal(cache.hit('k'), undefined)
    t.equal(cache.hit('forever')?.value, old)
    answer.open()
    await reading
    t.equal(cache.hit('k2'), undefined, 'nor what was on its way')
    t.equal((await cache.get('k')).value, undefined)
  },
)

// --- Versions that stand for other values ---

t.test('a value changed without a new version drops everything at the next probe', async (t) => {
  const { store, feed, cache, held } = await warmSidecar()
  store.setBySql('late', old)
  await cache.set('another', old)
  store.setSilently('k', recent)
  t.equal((await cache.get('k', { strong: true })).value, recent, 'a strong read compares the value')
  store.setSilently('k', '"newest"')
  const answer = store.hold('read', 'after')
  const reading = cache.get('late')
  await answer.reached
  feed.probe()()
  t.match(cache.status(), { feed: 'live', size: 0, leaseAgeMs: 0, stats: { flushes: 1 } })
  t.equal(held(), undefined)
  answer.open()
  t.match(await reading, { stored: false }, 'nor is what was on its way put')
})

t.test('a value changed without a new version while the feed was lost drops everything', async (t) => {
  const { store, feed, held } = await warmSidecar()
  feed.lose()
  store.setSilently('k', recent)
  await feed.connect()
  t.equal(held(), undefined, 'though the version is the same')
})

for (const how of ['rewound', 'rewound, and caught up', 'setval'] as const) {
  t.test(`the same epoch, but the position has gone back (${how}): everything is dropped`, async (t) => {
    const clock = new DrivenClock()
    const store = new ModelStore(clock)
    const snapshot = store.backup()
    const { feed, cache } = await liveSidecar({}, { clock, store })
    const version = store.setBySql('k', old)
    store.setBySql('another', old)
    clock.advance(10_000)
    feed.probe()()
    await turn()
    await cache.get('k')
    if (how === 'setval') store.setval(0n)
    else store.rewind(snapshot)
    t.equal(store.setBySql('k', recent), version, 'the very version that is held')
    if (how === 'rewound, and caught up') store.setBySql('another', recent)
    feed.lose()
    await feed.connect()
    t.equal(cache.hit('k'), undefined)
    t.equal(cache.status().stats.flushes, 1)
  })
}

t.test('a comparison that finds the position has gone back keeps flights out of memory', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  const snapshot = store.backup()
  store.setBySql('k', old)
  feed.probe()()
  clock.advance(1_000)
  const asking = store.hold('position')
  cache.changed({ kind: 'everything' })
  await asking.reached
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached
  store.rewind(snapshot)
  asking.open()
  await turn()
  t.match(cache.status(), { feed: 'live', stats: { flushes: 1 } })
  answer.open()
  t.match(await reading, { stored: false })
  t.equal(cache.hit('k'), undefined)
})

t.test('a position that goes back during a session ends the session', async (t) => {
  const { store, feed, cache } = await warmSidecar()
  feed.probe()()
  t.equal(cache.status().feed, 'live')
  store.setval(0n)
  feed.probe()()
  t.equal(cache.status().feed, 'down')
  await feed.connect()
  t.match(cache.status(), { feed: 'live', size: 0, stats: { flushes: 1 } })
})

t.test('a version named by a notification says nothing about the position of the database', async (t) => {
  const { feed, cache, held } = await warmSidecar()
  // Any role of the database may send this. Believed, it would look as if the position went back after it.
  cache.changed({ kind: 'key', id: 'another', version: '9000000000000000000' })
  for (let probes = 0; probes < 3; probes++) feed.probe()()
  t.match(cache.status(), { feed: 'live', stats: { feedLosses: 0, flushes: 0 } })
  t.equal(held(), old)
})

t.test(
  'a late answer to a write in another history says nothing about where the database stands',
  async (t) => {
    const { clock, store, feed, cache } = await liveSidecar()
    const backup = store.backup()
    for (const key of ['x', 'y', 'z']) store.setBySql(key, old)
    const answer = store.hold('write', 'after')
    const writing = cache.set('k', old)
    await answer.reached
    clock.advance(1)
    store.failOver('1-00000002', backup)
    await feed.connect()
    answer.open()
    await writing
    for (let probes = 0; probes < 3; probes++) feed.probe()()
    t.match(cache.status(), { feed: 'live', stats: { feedLosses: 0, flushes: 1 } })
  },
)

t.test('a position that was overtaken by an answer does not count as going back', async (t) => {
  const { store, feed, cache, held } = await warmSidecar()
  const arrives = feed.probe()
  await cache.set('another', old)
  arrives()
  t.equal(cache.status().feed, 'live')
  t.equal(held(), old)
  t.equal(store.valueOf('another'), old)
})

t.test('an answer from another history ends the session at once, even if it found no row', async (t) => {
  const asks: Readonly<Record<string, (cache: Cache) => Promise<unknown>>> = {
    'a strong read': (cache) => cache.get('k', { strong: true }),
    'a read of what is not there': (cache) => cache.get('absent'),
    'a set': (cache) => cache.set('another', recent),
    'a delete of what is not there': (cache) => cache.delete('absent'),
  }
  for (const [what, ask] of Object.entries(asks)) {
    const { clock, store, feed, cache } = await warmSidecar()
    store.failOver('1-00000002', store.backup())
    clock.advance(1)
    t.equal(cache.status().feed, 'live', 'the listening session is still on the old primary')
    await ask(cache)
    t.equal(cache.status().feed, 'down', what)
    await feed.connect()
    t.equal(cache.status().feed, 'live')
  }
})

t.test('a value that is stored differently from how it was sent is not cached', async (t) => {
  const { store, cache } = await liveSidecar()
  store.alterWith(() => recent)
  t.match(await cache.set('k', old), { written: true })
  t.equal(cache.hit('k'), undefined)
  t.equal((await cache.get('k')).value, recent)
})

t.test('a write that a trigger suppresses is refused, and nothing is cached', async (t) => {
  const { store, cache, held } = await warmSidecar()
  store.alterWith(() => undefined)
  await t.rejects(cache.set('k', recent), { code: 'not-stored' })
  t.equal(held(), undefined, 'the present row is unknown')
  t.equal((await cache.get('k')).value, old)
})

t.test('a strong read that finds nothing drops the entry', async (t) => {
  const { store, cache, held } = await warmSidecar()
  store.deleteBySql('k') // its change is late
  t.equal((await cache.get('k', { strong: true })).value, undefined)
  t.equal(held(), undefined)
})
