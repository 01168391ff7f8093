import t from 'tap'
import type { StoredEntry } from '../../../../src/core/entry.js'
import { TtlPolicy } from '../../../../src/core/state/ttl-policy.js'
import { liveSidecar, ttlMs } from '../../../support/model-sidecar.js'

const never = Number.POSITIVE_INFINITY

/** Time to live is the subject here: the lease is never in the way. */
const lasting = { maxStalenessMs: never }

// --- How long ---

t.test('the longest matching prefix decides', async (t) => {
  const policy = new TtlPolicy({
    ttlMs: 60,
    ttlRules: [
      { prefix: 'user:', ttlMs: 1 },
      { prefix: 'user:admin:', ttlMs: 2 },
      { prefix: 'static:', ttlMs: never },
      { prefix: 'team:', ttlMs: 3 },
    ],
  })
  const keys = ['user:7', 'user:admin:7', 'user:admin', 'static:logo', 'team:', 'team', 'User:7', '']
  t.same(
    keys.map((key) => policy.boundMs(key)),
    [1, 2, 1, never, 3, 60, 60, 60],
  )
})

t.test('jitter shortens a time to live, never lengthens it, and stays within its limit', async (t) => {
  const draws = [0, 0.5, 1]
  const policy = new TtlPolicy({ ttlMs: 1_000, ttlJitter: 0.1 }, () => draws.shift() as number)
  t.same([policy.drawMs('k'), policy.drawMs('k'), policy.drawMs('k')], [1_000, 950, 900])
  t.equal(new TtlPolicy({ ttlMs: never, ttlJitter: 0.1 }).drawMs('k'), never)
  t.equal(new TtlPolicy({ ttlMs: 1_000 }).drawMs('k'), 1_000, 'none unless it is given')
  const drawn = new TtlPolicy({ ttlMs: 1_000, ttlJitter: 0.1 })
  t.ok(new Set(Array.from({ length: 20 }, () => drawn.drawMs('k'))).size > 1)
})

t.test('an entry gets the time to live of its key, with jitter', async (t) => {
  const random = () => 0.5
  const { store, clock, cache } = await liveSidecar(
    { ...lasting, ttlRules: [{ prefix: 'user:', ttlMs: 1_000 }], ttlJitter: 0.1 },
    { random },
  )
  for (const key of ['user:7', 'k']) {
    store.setBySql(key, '1')
    await cache.get(key)
  }
  t.match(cache.recall('user:7'), { ttlMs: 950 })
  t.match(cache.recall('k'), { ttlMs: 0.95 * ttlMs })
  clock.advance(950)
  t.equal(cache.hit('user:7'), undefined)
  t.ok(cache.hit('k'))
})

// --- Fixed and sliding ---

t.test('fixed: a hit does not extend the time to live', async (t) => {
  const { clock, cache } = await liveSidecar(lasting)
  await cache.set('k', '1')
  clock.advance(ttlMs - 1)
  t.ok(cache.hit('k'))
  clock.advance(1)
  t.equal(cache.hit('k'), undefined)
})

t.test('sliding: every hit restarts the time to live, and nothing else does', async (t) => {
  const { clock, cache } = await liveSidecar({ ...lasting, ttlMode: 'sliding' })
  await cache.set('k', '1')
  for (let n = 0; n < 5; n++) {
    clock.advance(ttlMs - 1)
    t.ok(cache.hit('k'))
  }
  t.match(cache.recall('k'), { ttlMs })
  clock.advance(ttlMs)
  t.equal(cache.hit('k'), undefined)
  t.equal(cache.hit('k'), undefined, 'what has expired is not brought back')
})

t.test('sliding: the time to live does not exceed the expiry of the row', async (t) => {
  const { store, clock, cache } = await liveSidecar({ ...lasting, ttlMode: 'sliding' })
  store.setBySql('k', '1', { remainingMs: ttlMs + 10 })
  await cache.get('k')
  clock.advance(ttlMs - 1)
  t.ok(cache.hit('k'))
  clock.advance(10)
  t.ok(cache.hit('k'))
  clock.advance(1)
  t.equal(cache.hit('k'), undefined)
  t.match(await cache.get('k'), { value: undefined })
})

t.test('sliding: a hit never shortens the time to live', async (t) => {
  const draws = [0, 1]
  const { clock, cache } = await liveSidecar(
    { ...lasting, ttlMode: 'sliding', ttlJitter: 0.5 },
    { random: () => draws.shift() ?? 1 },
  )
  await cache.set('k', '1')
  clock.advance(1)
  t.ok(cache.hit('k'))
  clock.advance(ttlMs - 2)
  t.ok(cache.hit('k'))
})

// --- What has expired ---

/** A sidecar that holds `k`, expired; with what the store has answered since. */
async function withExpired() {
  const sidecar = await liveSidecar(lasting)
  const { store, clock, feed, cache } = sidecar
  await cache.set('k', '"large"')
  feed.deliver()
  clock.advance(ttlMs)
  const travelled: unknown[] = []
  const read = store.read.bind(store)
  store.read = async (wanted) => {
    const answers = await read(wanted)
    travelled.push(...[...answers.values()].map((answer) => (answer as StoredEntry).value))
    return answers
  }
  return { ...sidecar, travelled }
}

t.test(
  'expired: the store is asked whether the version still holds, and the value does not travel',
  async (t) => {
    const { clock, cache, travelled } = await withExpired()
    t.match(await cache.get('k'), { value: '"large"', forwarded: 'stale', revalidated: true, stored: true })
    t.same(travelled, [undefined])
    t.match(cache.status().stats, { missesExpired: 1, revalidatedFills: 1 })
    clock.advance(ttlMs - 1)
    t.ok(cache.hit('k'), 'and has its whole time again')
  },
)

t.test('an expired entry that has changed is read with its value', async (t) => {
  const { store, cache, travelled } = await withExpired()
  store.setBySql('k', '2')
  const read = await cache.get('k')
  t.match(read, { value: '2', forwarded: 'stale' })
  t.equal(read.revalidated, undefined)
  t.same(travelled, ['2'])
  t.equal(cache.status().stats.revalidatedFills, 0)
})

t.test('an expired entry whose row is gone is absent', async (t) => {
  const { store, cache } = await withExpired()
  store.deleteBySql('k')
  t.match(await cache.get('k'), { value: undefined, forwarded: 'stale' })
  t.equal(cache.status().stats.revalidatedFills, 0)
})

t.test('concurrent reads of an expired entry share one query', async (t) => {
  const { store, cache, travelled } = await withExpired()
  store.setBySql('other', '1')
  const before = store.statements.length
  const reads = await Promise.all([...Array.from({ length: 50 }, () => cache.get('k')), cache.get('other')])
  t.equal(store.statements.length - before, 1)
  t.same(travelled.sort(), ['1', undefined])
  t.equal(reads.filter(({ revalidated }) => revalidated).length, 50)
  t.match(cache.status().stats, { revalidatedFills: 1, coalesced: 49 })
})

t.test('P3: a change during the query for an expired entry keeps the answer out of memory', async (t) => {
  const { store, feed, cache } = await withExpired()
  const answer = store.hold('read', 'after')
  const reading = cache.get('k')
  await answer.reached
  store.setBySql('k', '2')
  feed.deliver()
  answer.open()
  t.match(await reading, { value: '"large"', revalidated: true, stored: false })
  t.equal(cache.hit('k'), undefined)
  t.match(await cache.get('k'), { value: '2' })
})

t.test('P2: a change drops an expired entry too', async (t) => {
  const { store, feed, cache, travelled } = await withExpired()
  store.setBySql('k', '2')
  feed.deliver()
  t.match(await cache.get('k'), { value: '2', forwarded: 'miss' })
  t.same(travelled, ['2'])
})

// --- Another time to live ---

t.test(
  'a shorter time to live applies to present entries at once, a longer one from the next fill',
  async (t) => {
    const { clock, cache } = await liveSidecar(lasting)
    const bounds = { capacity: 100, maxBytes: undefined, negativeCapacity: 100 }
    await cache.set('k', '1')
    clock.advance(ttlMs - 100)
    cache.reconfigure({ ...bounds, ttlMs: 500 })
    t.match(cache.recall('k'), { ttlMs: 100 }, 'what would expire sooner does')
    await cache.set('other', '1')
    cache.reconfigure({ ...bounds, ttlMs: never })
    t.match(cache.recall('other'), { ttlMs: 500 })
    clock.advance(500)
    t.equal(cache.hit('other'), undefined)
    await cache.get('other')
    t.match(cache.recall('other'), { ttlMs: never })
    cache.reconfigure({ ...bounds, ttlMs, ttlRules: [{ prefix: 'oth', ttlMs: 300 }] })
    t.match(cache.recall('other'), { ttlMs: 300 }, 'by rule, too')
  },
)

t.test('the same times to live change no expiry', async (t) => {
  const random = () => 0.5
  const { clock, cache } = await liveSidecar({ ...lasting, ttlJitter: 0.1 }, { random })
  await cache.set('k', '1')
  clock.advance(10)
  cache.reconfigure({ capacity: 50, maxBytes: undefined, negativeCapacity: 100, ttlMs, ttlJitter: 0.1 })
  t.match(cache.recall('k'), { ttlMs: 0.95 * ttlMs - 10 })
})
