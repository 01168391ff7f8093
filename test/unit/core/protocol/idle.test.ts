/** Tests of a feed that rests without requests, and of what may be served before, during and after the rest. */
import t from 'tap'
import { liveSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'
import { plain } from '../../../support/plain.js'
import { turn } from '../../../support/turn.js'

const old = '"old"'
const recent = '"new"'
const idleAfterMs = 300_000

/** A sidecar that holds `k` = old and `other`, and whose feed has just been proven. */
async function warmSidecar(options: Parameters<typeof liveSidecar>[0] = {}) {
  const sidecar = await liveSidecar({ idleAfterMs, ttlMs: 1e9, ...options })
  for (const key of ['k', 'other']) sidecar.store.setBySql(key, old)
  sidecar.feed.deliver()
  for (const key of ['k', 'other']) await sidecar.cache.get(key)
  return sidecar
}

/** The same, unused for so long that its feed rests. */
async function idleSidecar(options: Parameters<typeof liveSidecar>[0] = {}) {
  const sidecar = await warmSidecar(options)
  sidecar.clock.advance(idleAfterMs)
  sidecar.feed.probe()()
  let isNeeded = false
  const needed = sidecar.feed.rest()
  needed?.then(() => {
    isNeeded = true
  })
  const needs = async () => {
    await turn()
    return isNeeded
  }
  return { ...sidecar, needs, needed }
}

t.test('the feed rests after the idle time, and not before', async (t) => {
  const { clock, feed, cache, logged } = await warmSidecar()
  clock.advance(idleAfterMs - 1)
  feed.probe()()
  t.equal(feed.rest(), undefined)
  clock.advance(1)
  t.ok(feed.rest())
  t.match(cache.status(), {
    feed: 'idle',
    feedReason: 'idle until the next request',
    stats: { feedLosses: 0 },
  })
  t.match(logged.at(-1), { level: 'info', message: 'change feed idle' })
})

t.test('an idle time of 0 means that the feed never rests', async (t) => {
  const { clock, feed } = await warmSidecar({ idleAfterMs: 0 })
  clock.advance(1e9)
  t.equal(feed.rest(), undefined)
})

t.test('the feed does not rest while somebody follows the changes', async (t) => {
  const { clock, feed, cache } = await warmSidecar()
  cache.following.begin()
  clock.advance(2 * idleAfterMs)
  feed.probe()()
  t.equal(feed.rest(), undefined)
  t.equal(cache.status().idleInMs, Number.POSITIVE_INFINITY)
  cache.following.end()
  feed.probe()()
  t.equal(feed.rest(), undefined, 'the end of a stream is use as well')
  clock.advance(idleAfterMs)
  feed.probe()()
  t.ok(feed.rest())
})

const uses: Readonly<Record<string, (sidecar: Awaited<ReturnType<typeof warmSidecar>>) => unknown>> = {
  'a hit of the fast lane': ({ cache }) => cache.hit('k'),
  'a read': ({ cache }) => cache.get('k'),
  'a strong read': ({ cache }) => cache.get('k', { strong: true }),
  'a read from memory only': ({ cache }) => cache.recall('not held'),
  'a set': ({ cache }) => cache.set('k', recent),
  'a delete': ({ cache }) => cache.delete('k'),
  'a read of several keys': ({ cache }) => cache.getMany(['k', 'cold'], {}, () => undefined),
  'a change': ({ cache }) => cache.change('k', { value: recent }),
  'several writes': ({ cache }) => cache.writeAll([]),
  'an invalidation': ({ cache }) =>
    cache.invalidate({ keys: ['k'], groups: [], prefix: undefined, all: false }),
  'a warm-up': ({ cache }) => cache.warm('cold'),
}

for (const [name, use] of Object.entries(uses)) {
  t.test(`${name} postpones the rest of the feed`, async (t) => {
    const sidecar = await warmSidecar()
    sidecar.clock.advance(idleAfterMs)
    await use(sidecar)
    sidecar.feed.probe()()
    t.equal(sidecar.feed.rest(), undefined)
    t.equal(sidecar.cache.status().feed, 'live')
  })

  t.test(`${name} wakes the feed`, async (t) => {
    const sidecar = await idleSidecar()
    t.equal(await sidecar.needs(), false)
    await use(sidecar)
    t.equal(await sidecar.needs(), true)
  })
}

t.test('anything but a request does not wake the feed', async (t) => {
  const { store, feed, cache, needs } = await idleSidecar()
  cache.status()
  await cache.heldKeys()
  store.setBySql('k', recent)
  store.setBySql('unknown', recent)
  feed.deliver()
  t.equal(await needs(), false)
})

t.test('the feed does not rest before pending writes are sent', async (t) => {
  const { clock, store, feed, cache } = await warmSidecar()
  store.stop()
  await cache.set('k', recent)
  clock.advance(idleAfterMs)
  t.equal(feed.rest(), undefined)
})

t.test('the lease of a resting feed runs out, and the next request is sent to the primary', async (t) => {
  const { clock, cache } = await idleSidecar()
  clock.advance(maxStalenessMs)
  t.equal(cache.hit('k')?.value, old)
  clock.advance(1)
  t.equal(cache.hit('k'), undefined)
  t.same(plain(await cache.get('k')), { value: old, source: 'db', stale: false })
})

t.test('a read that wakes the feed is not answered stale, even with onFeedLoss stale', async (t) => {
  const { clock, store, feed, cache } = await idleSidecar({ onFeedLoss: 'stale' })
  clock.advance(3_600_000)
  store.setBySql('k', recent)
  t.same(plain(await cache.get('k')), { value: recent, source: 'db', stale: false })
  feed.lose()
  t.match(plain(await cache.get('other')), { stale: true }, 'once the feed is lost, it is')
})

t.test('once the feed has caught up after a rest, entries are served as stale again', async (t) => {
  const { clock, feed, cache } = await idleSidecar({ onFeedLoss: 'stale' })
  clock.advance(3_600_000)
  await cache.get('k')
  await feed.connect()
  clock.advance(maxStalenessMs + 1)
  t.match(plain(await cache.get('other')), { value: old, stale: true })
})

t.test(
  'a read that wakes the feed is answered from memory, marked stale, if the database is unavailable',
  async (t) => {
    const { clock, store, cache } = await idleSidecar()
    clock.advance(3_600_000)
    store.stop()
    t.match(plain(await cache.get('k')), { value: old, stale: true })
  },
)

t.test('after waking nothing is served or cached before all entries are compared', async (t) => {
  const { clock, store, feed, cache, needs } = await idleSidecar()
  // 1. and 2. The change of another's write is not heard.
  feed.cut()
  store.setBySql('k', recent)
  // 3. An hour later a read of another key wakes it; nothing is put.
  clock.advance(3_600_000)
  t.match(await cache.get('another'), { stored: false })
  t.equal(await needs(), true)
  // 4. LISTEN is in force.
  const compared = store.hold('versions', 'before')
  const connecting = feed.connect()
  await compared.reached
  // 5. What is old here is not served, a probe or not.
  feed.probe()()
  t.equal(cache.hit('k'), undefined)
  t.equal((await cache.get('k')).value, recent)
  t.equal(cache.hit('k'), undefined)
  t.equal(cache.hit('other'), undefined)
  // 6. The comparison drops it.
  clock.advance(100)
  compared.open()
  await connecting
  t.equal(cache.hit('k'), undefined)
  t.equal(cache.hit('other')?.value, old)
  t.match(cache.status(), { feed: 'live', leaseAgeMs: 100, neededForMs: 100 })
})

t.test('a fill that was sent before LISTEN is not cached after it', async (t) => {
  const { clock, store, feed, cache } = await idleSidecar()
  feed.cut()
  clock.advance(3_600_000)
  store.setBySql('cold', old)
  const answer = store.hold('read', 'after')
  const reading = cache.get('cold')
  await answer.reached // it has read what is there
  store.setBySql('cold', recent)
  await feed.connect()
  answer.open()
  t.equal((await reading).value, old)
  t.equal(cache.hit('cold'), undefined)
  t.equal((await cache.get('cold')).value, recent)
})

t.test('a request while the feed wakes counts as use', async (t) => {
  const { clock, feed, cache } = await idleSidecar()
  clock.advance(maxStalenessMs + 1)
  await cache.get('k')
  await feed.connect()
  clock.advance(idleAfterMs - 1)
  feed.probe()()
  t.equal(feed.rest(), undefined)
  clock.advance(1)
  t.ok(feed.rest())
})

t.test('a feed that cannot connect when it is needed counts as lost', async (t) => {
  const { clock, feed, cache } = await idleSidecar()
  clock.advance(3_600_000)
  await cache.get('k')
  feed.lose('connection refused')
  t.match(cache.status(), {
    feed: 'down',
    feedReason: 'connection refused',
    neededForMs: 0,
    stats: { feedLosses: 1 },
  })
})
