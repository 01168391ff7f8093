/** P9: the database is down, and comes back. */
import t from 'tap'
import type { CacheErrorCode } from '../../../../src/core/errors.js'
import { keyHash } from '../../../../src/core/state/key-hash.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import {
  liveSidecar,
  type ModelSidecar,
  maxStalenessMs,
  modelSidecar,
  ttlMs,
} from '../../../support/model-sidecar.js'
import { ModelStore } from '../../../support/model-store.js'
import { plain } from '../../../support/plain.js'
import { turn } from '../../../support/turn.js'

const old = '"old"'
const ours = '"ours"'
const later = '"ours, later"'
const theirs = '"theirs"'

function outage({ store, feed, clock }: ModelSidecar): void {
  store.stop()
  feed.lose()
  clock.advance(maxStalenessMs + 1)
}

async function recovery({ store, feed }: ModelSidecar): Promise<void> {
  store.restart()
  await feed.connect()
}

/** Live, then in an outage, with `k` = old in the database; held in memory too unless `held` is false. */
async function sidecarInOutage({
  held = true,
  ...options
}: Parameters<typeof liveSidecar>[0] & { held?: boolean } = {}) {
  const sidecar = await liveSidecar(options)
  const version = sidecar.store.setBySql('k', old)
  sidecar.clock.advance(10_000) // so that a mark is due
  sidecar.feed.probe()()
  await turn()
  if (held) await sidecar.cache.get('k')
  outage(sidecar)
  return { ...sidecar, version, recover: () => recovery(sidecar) }
}

// --- Reads ---

t.test('P9: an entry within its time to live is served, marked stale', async (t) => {
  const { cache } = await sidecarInOutage()
  t.same(plain(await cache.get('k')), { value: old, source: 'cache', stale: true })
  t.match(cache.status().stats, { staleServed: 1, missesUnproven: 1 })
})

t.test('P9: a database that answers too slowly counts as unavailable', async (t) => {
  const { store, cache } = await sidecarInOutage()
  store.restart()
  store.fail('read', 'store-busy')
  t.same(plain(await cache.get('k')), { value: old, source: 'cache', stale: true })
})

t.test('P9: an entry past its time to live is not served', async (t) => {
  const { clock, cache } = await sidecarInOutage()
  clock.advance(ttlMs)
  await t.rejects(cache.get('k'), { code: 'store-unavailable' })
})

t.test('P9: an entry whose time to live ends while the database is asked is not served', async (t) => {
  const { clock, store, cache } = await sidecarInOutage()
  const asking = store.hold('read')
  const reading = cache.get('k')
  await asking.reached
  clock.advance(ttlMs)
  asking.open()
  await t.rejects(reading, { code: 'store-unavailable' }, 'past its time to live')
})

t.test('P9: a key that is not in memory is an error, never absent', async (t) => {
  const { cache } = await sidecarInOutage()
  await t.rejects(cache.get('not here'), { name: 'CacheError', code: 'store-unavailable' })
  const busy = await liveSidecar()
  busy.store.fail('read', 'store-busy')
  await t.rejects(busy.cache.get('not here'), { name: 'CacheError', code: 'store-busy' })
  t.same(
    plain(await busy.cache.get('not here')),
    { value: undefined, source: 'db', stale: false },
    'asked again',
  )
})

t.test('P9: an entry that a change has dropped while the database was asked is not served', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  await cache.get('k')
  clock.advance(maxStalenessMs + 1)
  store.fail('read', 'store-unavailable', 'after')
  const answer = store.hold('read')
  const reading = cache.get('k')
  await answer.reached
  store.setBySql('k', theirs)
  feed.deliver()
  answer.open()
  await t.rejects(reading, { code: 'store-unavailable' }, 'known to be wrong')
})

t.test(
  'P9: only an unavailable database leads to a stale answer; other errors go to the caller',
  async (t) => {
    const { store, cache } = await sidecarInOutage()
    store.restart()
    store.fail('read', 'refused')
    await t.rejects(cache.get('k'), { code: 'refused' })
  },
)

t.test('P9: a sidecar starts, and works, without a database', async (t) => {
  const sidecar = modelSidecar()
  const { store, cache, feed } = sidecar
  store.stop()
  await t.rejects(feed.connect(), { code: 'store-unavailable' })
  feed.lose()
  await t.rejects(cache.get('k'), { code: 'store-unavailable' })
  t.match(await cache.set('k', ours), { written: false })
  t.same(plain(await cache.get('k')), { value: ours, source: 'cache', stale: true })
  await recovery(sidecar)
  t.equal(store.valueOf('k'), ours)
})

// --- Writes, while it is down ---

t.test('P9: a write is kept and read back, marked stale', async (t) => {
  const { cache } = await sidecarInOutage()
  t.match(await cache.set('k', ours), { written: false })
  t.same(plain(await cache.get('k')), { value: ours, source: 'cache', stale: true })
  t.equal(cache.status().pendingWrites, 1)
})

t.test('P9: a pending write is read even within the lease', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  await cache.get('k')
  store.fail('write', 'store-unavailable')
  await cache.set('k', ours)
  t.same(plain(await cache.get('k')), { value: ours, source: 'cache', stale: true })
})

t.test('P9: a delete is kept, and the key is absent, marked stale', async (t) => {
  const { cache } = await sidecarInOutage()
  t.match(await cache.delete('k'), { held: true, stored: false })
  t.same(plain(await cache.get('k')), { value: undefined, source: 'cache', stale: true })
  t.match(await cache.delete('k'), { held: false, stored: false }, 'it is gone here')
  await cache.set('k', ours)
  t.match(await cache.delete('k'), { held: true, stored: false }, 'and here again')
})

t.test('P9: a read that was waiting when a write was kept gets the write', async (t) => {
  const { store, cache } = await sidecarInOutage({ held: false })
  const asking = store.hold('read')
  const reading = cache.get('k')
  await asking.reached
  await cache.set('k', ours)
  asking.open()
  t.same(plain(await reading), { value: ours, source: 'cache', stale: true })
})

t.test('P9: a fill in flight when a write was kept caches nothing', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached
  store.fail('write', 'store-unavailable')
  store.fail('settle', 'store-unavailable') // the pending write cannot be sent yet
  await cache.set('k', ours)
  answer.open()
  await reading
  t.equal(cache.hit('k'), undefined)
  t.equal((await cache.get('k')).value, ours)
})

t.test('P9: with `reject`, nothing is kept', async (t) => {
  const { store, cache, recover } = await sidecarInOutage({ onWriteOutage: 'reject' })
  await t.rejects(cache.set('k', ours), { code: 'store-unavailable' })
  await t.rejects(cache.delete('k'), { code: 'store-unavailable' })
  t.same(plain(await cache.get('k')), { value: old, source: 'cache', stale: true })
  t.equal(cache.status().pendingWrites, 0)
  await recover()
  t.equal(store.valueOf('k'), old)
})

const answered = [
  'store-busy',
  'store-failed',
  'queue-full',
  'forbidden',
  'refused',
] satisfies CacheErrorCode[]
for (const code of answered) {
  t.test(`P9: a database that answers ${code} is available: nothing is kept`, async (t) => {
    const { store, cache } = await liveSidecar()
    store.fail('write', code)
    await t.rejects(cache.set('k', ours), { code })
    store.fail('remove', code)
    await t.rejects(cache.delete('k'), { code })
    t.equal(cache.status().pendingWrites, 0)
  })
}

t.test(
  'P9: a pending write that the database answers with an error does not keep the feed down',
  async (t) => {
    const { store, cache, feed, recover } = await sidecarInOutage()
    await cache.delete('k')
    for (let attempt = 0; attempt < 10; attempt++) store.fail('settle', 'forbidden')
    await recover()
    t.equal(cache.status().feed, 'live')
    t.match(cache.status(), { pendingWrites: 1, pendingWritesObstacle: 'forbidden' })
    store.clearObstacles()
    feed.lose()
    await feed.connect()
    t.match(cache.status(), { pendingWrites: 0, pendingWritesObstacle: undefined })
  },
)

t.test('P9: a write of this sidecar that was not cached is recognised as its own', async (t) => {
  const sidecar = await liveSidecar()
  const { store, cache, feed } = sidecar
  store.alterWith((value) => value)
  feed.probe()()
  await cache.set('k', theirs)
  feed.deliver()
  t.equal(cache.hit('k'), undefined)
  outage(sidecar)
  t.match(await cache.set('k', ours), { written: false })
  await recovery(sidecar)
  t.equal(store.valueOf('k'), ours)
  t.match(cache.status().stats, { pendingSettled: 1, pendingConflicts: 0 })
})

t.test('P9: a write is kept before the table exists', async (t) => {
  const { store, cache } = await liveSidecar()
  store.fail('write', 'store-not-ready')
  t.match(await cache.set('k', ours), { written: false })
  t.equal(cache.status().pendingWrites, 1)
})

t.test('P9: pending writes are limited by the capacity, and a write beyond it is refused', async (t) => {
  const { store, cache, recover } = await sidecarInOutage({ capacity: 2 })
  await cache.set('a', ours)
  await cache.set('b', ours)
  await t.rejects(cache.set('c', ours), { code: 'store-unavailable', cause: { code: 'store-unavailable' } })
  await t.rejects(cache.get('c'), { code: 'store-unavailable' })
  t.match(await cache.set('b', later), { written: false }, 'a later write of a key takes no more room')
  await recover()
  t.same([store.valueOf('a'), store.valueOf('b'), store.valueOf('c')], [ours, later, undefined])
})

// --- When it is back ---

t.test('P9: pending writes and deletes are sent, in one statement, before the feed is live', async (t) => {
  const { store, feed, cache, recover } = await sidecarInOutage()
  await cache.set('k', ours)
  await cache.set('new here', ours)
  await cache.delete('never there')
  await recover()
  t.same([store.valueOf('k'), store.valueOf('new here')], [ours, ours])
  t.equal(store.statements.filter(({ operation }) => operation === 'settle').length, 1)
  t.match(cache.status(), {
    feed: 'live',
    pendingWrites: 0,
    stats: { pendingSettled: 3, pendingConflicts: 0 },
  })

  feed.deliver()
  t.same(plain(await cache.get('k')), { value: ours, source: 'db', stale: false })
  t.equal(cache.hit('k')?.value, ours)
})

t.test(
  'P9: pending writes are sent with the first statement that succeeds, the feed still down',
  async (t) => {
    const { store, cache } = await sidecarInOutage()
    await cache.set('k', ours)
    store.restart()
    await cache.get('another')
    await turn()
    t.equal(store.valueOf('k'), ours)
    t.equal(cache.status().pendingWrites, 0)
  },
)

t.test('P9: a write of a key whose pending write is on its way is sent after it', async (t) => {
  const sidecar = await sidecarInOutage()
  const { store, cache, feed } = sidecar
  await cache.set('k', ours)
  store.restart()
  const answer = store.hold('settle', 'after')
  const connected = feed.connect()
  await answer.reached
  outage(sidecar)
  const setting = cache.set('k', later)
  answer.open()
  await connected
  t.match(await setting, { written: false })
  store.restart()
  await feed.connect()
  t.equal(store.valueOf('k'), later)
  t.match(cache.status(), { pendingWrites: 0, stats: { pendingSettled: 2, pendingConflicts: 0 } })
})

t.test('P9: after a statement that finds no database, the others are not sent', async (t) => {
  const { store, cache } = await sidecarInOutage({ capacity: 2_000 })
  // Of three statements.
  for (let n = 0; n < 1_200; n++) await cache.set(`k${n}`, ours)
  store.restart()
  store.fail('settle', 'store-unavailable')
  const settles = () => store.statements.filter(({ operation }) => operation === 'settle').length
  const before = settles()
  await cache.get('another')
  await turn()
  t.equal(settles(), before + 1)
  t.equal(cache.status().pendingWrites, 1_200)
})

t.test('P9: pending writes are sent soon after a short fault, even without requests', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  store.fail('write', 'store-unavailable')
  await cache.set('k', ours)
  clock.advance(1_000)
  feed.probe()() // the database is there
  await turn()
  t.equal(store.valueOf('k'), ours, 'sent')
})

t.test('P9: pending writes are sent before the process ends', async (t) => {
  const { store, cache } = await sidecarInOutage()
  await cache.set('k', ours)
  store.restart()
  await cache.close()
  t.equal(store.valueOf('k'), ours)
})

t.test('P9: the process ends even if pending writes cannot be sent', async (t) => {
  const { cache } = await sidecarInOutage()
  await cache.set('k', ours)
  await cache.close()
  t.equal(cache.status().pendingWrites, 1)
})

t.test('P9: a write by another client during the outage stays', async (t) => {
  const { store, cache, recover, logged } = await sidecarInOutage()
  await cache.set('k', ours)
  store.setBySql('k', theirs)
  await recover()
  t.equal(store.valueOf('k'), theirs)
  t.same(plain(await cache.get('k')), { value: theirs, source: 'db', stale: false })
  t.match(cache.status(), { pendingWrites: 0, stats: { pendingSettled: 0, pendingConflicts: 1 } })
  t.ok(
    logged.some(
      ({ level, fields }) => level === 'warn' && 'keyHash' in fields && fields.keyHash === keyHash('k'),
    ),
  )
})

t.test('P9: a delete by another client during the outage stays', async (t) => {
  const { store, cache, recover } = await sidecarInOutage()
  await cache.set('k', ours)
  store.deleteBySql('k')
  await recover()
  t.equal(store.valueOf('k'), undefined)
  t.equal(cache.status().stats.pendingConflicts, 1)
})

t.test('P9: a pending delete does not remove a write by another client', async (t) => {
  const { store, cache, recover } = await sidecarInOutage()
  await cache.delete('k')
  store.setBySql('k', theirs)
  await recover()
  t.equal(store.valueOf('k'), theirs)
})

t.test('P9: a pending delete is carried out if nothing has changed', async (t) => {
  const { store, cache, recover } = await sidecarInOutage()
  await cache.delete('k')
  await recover()
  t.equal(store.valueOf('k'), undefined)
  t.same(plain(await cache.get('k')), { value: undefined, source: 'db', stale: false })
  t.equal(cache.status().stats.pendingSettled, 1)
})

t.test('P9: without a cached entry, a row from before the last contact is replaced', async (t) => {
  const { store, cache, recover } = await sidecarInOutage({ held: false })
  await cache.set('k', ours)
  await recover()
  t.equal(store.valueOf('k'), ours)
})

t.test('P9: without a cached entry, a row from after the last contact stays', async (t) => {
  const { store, cache, recover } = await sidecarInOutage({ held: false })
  await cache.set('k', ours)
  await cache.delete('another')
  store.setBySql('k', theirs)
  store.setBySql('another', theirs)
  await recover()
  t.same([store.valueOf('k'), store.valueOf('another')], [theirs, theirs])
})

t.test('P9: a version named by a notification does not date a row before the last contact', async (t) => {
  const sidecar = await liveSidecar()
  const { store, feed, cache } = sidecar
  store.setBySql('k', old)
  feed.probe()()
  await turn()
  // Any role of the database may send this. Believed, it would let every pending write through.
  cache.changed({ kind: 'key', id: 'another', version: '9000000000000000000' })
  feed.probe()()
  await turn()
  outage(sidecar)
  await cache.set('k', ours)
  store.setBySql('k', theirs)
  await recovery(sidecar)
  t.equal(store.valueOf('k'), theirs)
  t.equal(cache.status().stats.pendingConflicts, 1)
})

t.test(
  'P9: a mark is left at the first contact, and then only if something was written, now and then',
  async (t) => {
    const { clock, store, feed, cache } = await liveSidecar()
    const left = () => store.statements.filter(({ operation }) => operation === 'mark').length
    const probe = async () => {
      feed.probe()()
      await turn()
    }
    await turn()
    t.equal(left(), 1)
    clock.advance(20_000)
    await probe()
    t.equal(left(), 1, 'nothing was written')
    store.setBySql('k', old)
    for (let second = 0; second < 25; second++) {
      clock.advance(1_000)
      store.setBySql('k', old)
      await probe()
    }
    t.equal(left(), 4, 'every ten seconds')
    clock.advance(20_000)
    await cache.set('k', ours)
    await probe()
    t.equal(left(), 5, 'our own writes count')
  },
)

t.test('P9: a row that was changed since the last mark stays', async (t) => {
  const sidecar = await liveSidecar()
  const { store, feed, cache } = sidecar
  feed.probe()()
  await turn()
  store.setBySql('k', theirs)
  feed.probe()()
  await turn()
  outage(sidecar)
  await cache.set('k', ours)
  await recovery(sidecar)
  t.equal(store.valueOf('k'), theirs)
})

for (const caughtUp of [false, true]) {
  t.test(
    `P9: a snapshot is put back${caughtUp ? ', and has caught up' : ''}: a write kept before stays away`,
    async (t) => {
      const store = new ModelStore(new DrivenClock(), { salted: true })
      const snapshot = store.backup()
      const sidecar = await liveSidecar({}, { store })
      const { feed, cache } = sidecar
      store.setBySql('k', old)
      store.setBySql('another', old)
      feed.probe()()
      await turn()
      outage(sidecar)
      await cache.set('k', ours)
      store.rewind(snapshot)
      store.setBySql('k', theirs)
      if (caughtUp) for (let write = 0; write < 5; write++) store.setBySql('another', theirs)
      await recovery(sidecar)
      t.equal(store.valueOf('k'), theirs)
      t.match(cache.status(), { pendingWrites: 0, stats: { pendingConflicts: 1 } })
    },
  )
}

t.test('P9: in a second outage, a write builds on what was written while a mark was asked for', async (t) => {
  for (const write of ['settled', 'acknowledged'] as const) {
    const sidecar = await liveSidecar({ capacity: 1 })
    const { clock, store, feed, cache } = sidecar
    clock.advance(10_000)
    store.setBySql('another', '0')
    if (write === 'settled') {
      outage(sidecar)
      await cache.set('k', old)
    }
    const answer = store.hold('mark', 'after')
    if (write === 'settled') await recovery(sidecar)
    else {
      feed.probe()()
      await answer.reached
      await cache.set('k', old)
    }
    await answer.reached
    t.equal(store.valueOf('k'), old)
    answer.open()
    await turn()
    feed.deliver()
    await cache.set('another', '1')
    feed.deliver()
    t.equal(cache.hit('k'), undefined, 'it is evicted')
    outage(sidecar)
    await cache.set('k', ours)
    await recovery(sidecar)
    t.equal(store.valueOf('k'), ours, write)
    t.match(cache.status().stats, { pendingConflicts: 0 }, write)
  }
})

t.test('P9: a row that somebody has changed since is judged by the mark', async (t) => {
  const sidecar = await liveSidecar({ capacity: 1 })
  const { clock, store, feed, cache } = sidecar
  clock.advance(10_000)
  await cache.set('k', old)
  store.setBySql('k', theirs)
  feed.deliver()
  feed.probe()()
  await turn()
  await cache.set('another', '1')
  outage(sidecar)
  await cache.set('k', ours)
  await recovery(sidecar)
  t.equal(store.valueOf('k'), ours, 'their write is older than the mark, and its change was heard')
})

t.test('P9: an answer about a mark that comes after another history has begun is not taken', async (t) => {
  const sidecar = await liveSidecar()
  const { clock, store, feed, cache } = sidecar
  store.setBySql('k', old)
  clock.advance(10_000)
  const { rows, drawn } = store.backup()
  const answer = store.hold('mark', 'after')
  feed.probe()()
  await answer.reached
  store.failOver('1-00000002', { rows, drawn })
  await feed.connect()
  await turn()
  answer.open()
  await turn()
  outage(sidecar)
  await cache.set('k', ours)
  await recovery(sidecar)
  t.equal(store.valueOf('k'), ours, 'the mark of this history shows that the row is older')
})

t.test('P9: a held entry whose value was changed without a version stays', async (t) => {
  const { store, cache, recover } = await sidecarInOutage()
  await cache.set('k', ours)
  store.setSilently('k', theirs)
  await recover()
  t.equal(store.valueOf('k'), theirs)
  t.match(cache.status(), { pendingWrites: 0, stats: { pendingConflicts: 1 } })
})

t.test(
  'P9: an entry that is held is compared by its value, although the table was changed meanwhile',
  async (t) => {
    const { store, cache, recover } = await sidecarInOutage()
    await cache.set('k', ours)
    store.alterWith((value) => value)
    await recover()
    t.equal(store.valueOf('k'), ours)
    t.match(cache.status().stats, { pendingConflicts: 0 })
  },
)

t.test(
  'P9: a write of its own that is no longer held, and was changed without a version, stays',
  async (t) => {
    for (const moment of [
      'noticed before the outage',
      'not noticed before the outage',
      'meanwhile',
    ] as const) {
      const sidecar = await liveSidecar({ capacity: 1 })
      const { store, feed, cache } = sidecar
      await cache.set('k', old)
      feed.deliver()
      await cache.set('another', '1')
      feed.deliver()
      t.equal(cache.hit('k'), undefined, 'it is evicted')
      if (moment !== 'meanwhile') store.setSilently('k', theirs)
      if (moment === 'noticed before the outage') feed.probe()()
      outage(sidecar)
      await cache.set('k', ours)
      if (moment === 'meanwhile') store.setSilently('k', theirs)
      await recovery(sidecar)
      t.equal(store.valueOf('k'), theirs, moment)
      t.match(cache.status(), { pendingWrites: 0, stats: { pendingConflicts: 1 } }, moment)
    }
  },
)

t.test(
  'P9: a write of its own that is no longer held is replaced while the table is as it was',
  async (t) => {
    const sidecar = await liveSidecar({ capacity: 1 })
    const { store, feed, cache } = sidecar
    await cache.set('k', old)
    await cache.set('another', '1')
    feed.deliver()
    outage(sidecar)
    await cache.set('k', ours)
    await recovery(sidecar)
    t.equal(store.valueOf('k'), ours)
  },
)

t.test('P9: a held entry names exactly one version, however new the rest of what was heard', async (t) => {
  const { store, feed, cache, ...sidecar } = await liveSidecar()
  const slow = store.stamp()
  store.setBySql('k', old)
  feed.deliver()
  await cache.get('k')
  outage({ store, feed, cache, ...sidecar })
  await cache.set('k', ours)
  store.setBySql('k', theirs, { version: slow }) // lower than the one held, and a change all the same
  await recovery({ store, feed, cache, ...sidecar })
  t.equal(store.valueOf('k'), theirs)
})

t.test('P9: a database that was never reached keeps all its rows', async (t) => {
  const sidecar = modelSidecar()
  const { store, cache } = sidecar
  store.setBySql('k', theirs)
  store.stop()
  await cache.set('k', ours)
  await cache.set('free', ours)
  await recovery(sidecar)
  t.same([store.valueOf('k'), store.valueOf('free')], [theirs, ours])
})

t.test(
  'P9: written several times during the outage, the last value counts, against what was there first',
  async (t) => {
    const { store, cache, recover } = await sidecarInOutage()
    await cache.set('k', ours)
    await cache.delete('k')
    await cache.set('k', later)
    t.equal(cache.status().pendingWrites, 1)
    await recover()
    t.equal(store.valueOf('k'), later)

    const second = await sidecarInOutage()
    await second.cache.set('k', ours)
    second.store.deleteBySql('k')
    await second.cache.set('k', later)
    await second.recover()
    t.equal(second.store.valueOf('k'), undefined)
  },
)

t.test('P9: in another history nothing proves that the row is unchanged', async (t) => {
  const { store, cache, recover, version } = await sidecarInOutage()
  await cache.set('k', ours)
  await cache.set('unseen', ours)
  store.failOver('1-00000002', { rows: new Map(), drawn: BigInt(version) - 1n })
  t.equal(store.setBySql('k', theirs), version, 'the very version that was held')
  await recover()
  t.equal(store.valueOf('k'), theirs)
  t.equal(store.valueOf('unseen'), undefined)
  t.match(cache.status(), { pendingWrites: 0, stats: { pendingConflicts: 2, flushes: 1 } })
})

t.test('P9: a write that succeeds directly replaces the pending one', async (t) => {
  const { store, cache } = await sidecarInOutage()
  await cache.set('k', ours)
  store.restart()
  t.match(await cache.set('k', later), { written: true })
  await turn()
  t.equal(store.valueOf('k'), later)
  t.match(
    cache.status(),
    { pendingWrites: 0, stats: { pendingSettled: 0, pendingConflicts: 0 } },
    'not sent at all',
  )
})

t.test('P9: a pending write in flight does not undo a later write', async (t) => {
  for (const held of [true, false]) {
    const { store, cache } = await sidecarInOutage({ held })
    await cache.set('k', ours)
    store.restart()
    const sending = store.hold('settle')
    await cache.get('another')
    await sending.reached
    const writing = cache.set('k', later)
    await turn()
    sending.open()
    t.match(await writing, { written: true })
    await turn()
    t.equal(store.valueOf('k'), later)
    t.equal((await cache.get('k')).value, later)
  }
})

t.test('P9: a pending write in flight does not undo a later delete', async (t) => {
  for (const held of [true, false]) {
    const { store, cache } = await sidecarInOutage({ held })
    await cache.set('k', ours)
    store.restart()
    const sending = store.hold('settle')
    await cache.get('another')
    await sending.reached
    const deleting = cache.delete('k')
    await turn()
    sending.open()
    await deleting
    await turn()
    t.equal(store.valueOf('k'), undefined, held ? 'held' : 'not held')
  }
})

t.test('P9: a pending write is not sent during a delete of its key', async (t) => {
  const { store, cache } = await sidecarInOutage({ held: false })
  await cache.set('k', ours)
  store.restart()
  const deleted = store.hold('remove', 'after')
  const deleting = cache.delete('k')
  await deleted.reached
  await cache.get('another')
  await turn()
  deleted.open()
  await deleting
  await turn()
  t.equal(store.valueOf('k'), undefined, 'deleted')
})

t.test('P9: a read after a pending write has settled returns what the database has', async (t) => {
  const { store, feed, cache, recover } = await sidecarInOutage()
  await cache.set('k', ours)
  await recover()
  store.setBySql('k', theirs)
  feed.deliver()
  t.equal((await cache.get('k')).value, theirs)
})

t.test('P9: a strong read does not hide the pending write of its key', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', old)
  feed.deliver()
  store.fail('write', 'store-unavailable')
  await cache.set('k', ours)
  store.fail('settle', 'store-unavailable') // the pending write cannot be sent yet
  t.equal((await cache.get('k', { strong: true })).value, old)
  t.same(plain(await cache.get('k')), { value: ours, source: 'cache', stale: true })
})

t.test(
  'P9: a pending write does not come after a later one that has happened and is gone again',
  async (t) => {
    const { store, cache, recover } = await sidecarInOutage()
    await cache.set('new', ours)
    store.restart()
    store.fail('write', 'outcome-unknown', 'after')
    await t.rejects(cache.set('new', later), { code: 'outcome-unknown' })
    t.equal(store.valueOf('new'), later, 'it has happened')
    store.deleteBySql('new')
    await recover()
    t.equal(store.valueOf('new'), undefined)
    t.match(cache.status(), { pendingWrites: 0, stats: { pendingConflicts: 1 } })
  },
)

t.test('P9: a pending write in flight when another history begins overwrites nothing', async (t) => {
  const { store, cache, recover, version } = await sidecarInOutage()
  await cache.set('k', ours)
  store.restart()
  const sending = store.hold('settle')
  await cache.get('another')
  await sending.reached
  store.failOver('1-00000002', { rows: new Map(), drawn: BigInt(version) - 1n })
  t.equal(store.setBySql('k', theirs), version, 'the very version that was held')
  sending.open()
  await recover()
  t.equal(store.valueOf('k'), theirs)
  t.match(cache.status(), { pendingWrites: 0, stats: { pendingConflicts: 1 } })
})

t.test('P9: a late answer from another history does not move the last contact', async (t) => {
  const sidecar = await liveSidecar()
  const { store, feed, cache } = sidecar
  const backup = store.backup()
  for (const key of ['x', 'y', 'z']) store.setBySql(key, old)
  const answer = store.hold('read', 'after')
  const reading = cache.get('z')
  await answer.reached
  store.failOver('1-00000002', backup)
  feed.lose()
  await feed.connect()
  answer.open()
  await reading
  outage(sidecar)
  await cache.set('k', ours)
  store.setBySql('k', theirs)
  await recovery(sidecar)
  t.equal(store.valueOf('k'), theirs)
})
