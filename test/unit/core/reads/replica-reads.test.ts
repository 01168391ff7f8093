/** P13: what may be read from a replica that is behind. */
import t from 'tap'
import type { CacheOptions } from '../../../../src/core/cache.js'
import { formatToken, parseToken } from '../../../../src/core/state/session-token.js'
import { liveSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

const old = '"old"'
const recent = '"new"'
const pauseMs = 100

/**
 * A live sidecar whose replica has replayed everything, and that has noticed. It asks each time for what does not
 * exist. `unread`: a key it may ask the replica
 * for.
 */
async function sidecarWithReplica(options: Partial<CacheOptions> = {}) {
  const sidecar = await liveSidecar({ negativeCapacity: 0, ...options }, { withReplica: true })
  const { store, feed, cache, clock } = sidecar
  for (const key of ['k', 'other', 'unread']) store.setBySql(key, old)
  feed.deliver()
  store.replicaReplays()
  const advance = async () => {
    clock.advance(pauseMs)
    await cache.get('nothing')
    await turn()
  }
  await advance()
  /** The primary has told a position, and the answer is on its way. */
  const positionAsked = async () => {
    const position = store.hold('replica position', 'after')
    clock.advance(pauseMs)
    await cache.get('nothing')
    await position.reached
    return position
  }
  const countOf = (operation: string) => store.statements.filter((one) => one.operation === operation).length
  return {
    ...sidecar,
    advance,
    positionAsked,
    primaryReads: () => countOf('read'),
    replicaReads: () => countOf('replica read'),
  }
}

t.test('P13: a key that was not observed since is read from the replica and cached', async (t) => {
  const { cache, clock, feed, primaryReads, replicaReads } = await sidecarWithReplica()
  feed.probe()()
  clock.advance(500)
  const before = primaryReads()
  const read = await cache.get('unread')
  t.match(read, { value: old, forwarded: 'miss', stored: true, ageMs: 500 }, 'as old as the lease')
  t.equal(primaryReads(), before)
  t.equal(replicaReads(), 1)
  t.equal(cache.hit('unread')?.value, old)
  t.match(cache.status(), { replicaUsable: true, stats: { replicaFills: 1 } })
})

t.test('P13: nothing is read from a replica before it has replayed a position', async (t) => {
  const { store, cache } = await liveSidecar({}, { withReplica: true })
  store.replicaStops()
  store.setBySql('k', old)
  for (const value of [old, undefined]) t.equal((await cache.get(value ? 'k' : 'nothing')).value, value)
  await turn()
  t.notOk(store.statements.some(({ operation }) => operation === 'replica read'))
  t.equal(cache.status().replicaUsable, false)
})

t.test('P13: a replica that has not replayed a received change does not undo it', async (t) => {
  const { store, feed, cache, advance, replicaReads } = await sidecarWithReplica()
  store.replicaStops()
  store.setBySql('k', recent)
  feed.deliver()
  t.equal((await cache.get('k')).value, recent)
  t.equal(cache.hit('k')?.value, recent)
  t.equal(replicaReads(), 0)
  await advance()
  store.setBySql('k', old)
  store.setBySql('k', recent)
  feed.deliver()
  await cache.get('k')
  t.equal(
    cache.hit('k')?.value,
    recent,
    'nor after another position was asked for, which it has not replayed either',
  )
})

t.test('P13: a change during the query for a position counts as later than it', async (t) => {
  const { store, feed, cache, positionAsked } = await sidecarWithReplica()
  const position = await positionAsked()
  store.replicaStops()
  store.setBySql('k', recent)
  feed.deliver()
  position.open()
  await turn()
  t.equal((await cache.get('k')).value, recent)
})

t.test(
  'P13: a write through this sidecar is not undone either, nor one whose outcome is unknown',
  async (t) => {
    const { store, cache } = await sidecarWithReplica()
    store.replicaStops()
    await cache.set('k', recent)
    await cache.delete('other')
    store.fail('write', 'outcome-unknown', 'after')
    await t.rejects(cache.set('unread', recent))
    for (const key of ['k', 'unread']) t.equal((await cache.get(key)).value, recent)
    t.equal((await cache.get('other')).value, undefined)
  },
)

t.test('P13: a replica does not undo an answer of the primary', async (t) => {
  const { store, cache, feed } = await sidecarWithReplica()
  store.replicaStops()
  store.setBySql('k', recent) // not announced to us yet
  t.equal((await cache.get('k', { strong: true })).value, recent)
  feed.lose()
  await feed.connect()
  await turn()
  t.equal((await cache.get('k')).value, recent)
})

t.test('P13: a replica does not undo an answer of another replica that is further ahead', async (t) => {
  const { cache, store } = await sidecarWithReplica({ capacity: 1 })
  const behind = store.backup()
  store.setBySql('unread', recent) // not announced to us yet
  t.equal((await cache.get('unread')).value, recent)
  t.equal(cache.status().stats.replicaFills, 1)
  await cache.get('other')
  t.equal(cache.hit('unread'), undefined)
  store.replicaStops(behind)
  t.equal((await cache.get('unread')).value, recent)
})

for (const what of ['lost', 'everything'] as const) {
  t.test(
    `P13: changes may have been missed (${what}): no replica until it has replayed what is there now`,
    async (t) => {
      const { store, feed, cache } = await sidecarWithReplica()
      store.replicaStops()
      if (what === 'lost') feed.lose()
      store.setManyBySql({ unread: recent })
      if (what === 'lost') await feed.connect()
      else feed.deliver()
      await turn()
      t.equal(cache.status().replicaUsable, false)
      t.equal((await cache.get('unread')).value, recent)
    },
  )
}

t.test(
  'P13: a position that was asked for before changes may have been missed is worth nothing',
  async (t) => {
    const { store, feed, cache, positionAsked } = await sidecarWithReplica()
    const position = await positionAsked()
    store.replicaStops()
    store.setManyBySql({ unread: recent })
    feed.deliver()
    await turn()
    position.open()
    await turn()
    t.equal(cache.status().replicaUsable, false)
    t.equal((await cache.get('unread')).value, recent)
  },
)

t.test('P13: without a live feed reads go to the primary', async (t) => {
  const { feed, cache, clock, replicaReads } = await sidecarWithReplica()
  feed.lose()
  clock.advance(maxStalenessMs + 1)
  t.equal((await cache.get('unread')).value, old)
  t.equal(replicaReads(), 0)
})

t.test('P13: an answer that may be older than a hit is requested again', async (t) => {
  const { store, cache, clock, primaryReads } = await sidecarWithReplica()
  const answer = store.hold('replica read', 'after')
  const before = primaryReads()
  const reading = cache.get('unread')
  await answer.reached
  store.setBySql('unread', recent)
  clock.advance(maxStalenessMs + 1)
  answer.open()
  t.equal((await reading).value, recent)
  t.equal(primaryReads(), before + 1)
})

t.test(
  'P13: a fill from a replica is joined only while the lease it began with is young enough',
  async (t) => {
    const { store, cache, clock } = await sidecarWithReplica()
    clock.advance(1_000)
    const answer = store.hold('replica read', 'after')
    const first = cache.get('unread')
    await answer.reached
    clock.advance(maxStalenessMs - 1_000 + 1)
    store.setBySql('unread', recent)
    t.equal((await cache.get('unread')).value, recent)
    answer.open()
    await first
  },
)

t.test(
  'P13: a replica that fails is not asked again before it has caught up; the primary answers',
  async (t) => {
    const { store, cache, advance, replicaReads } = await sidecarWithReplica()
    store.fail('replica read', 'store-unavailable')
    store.fail('replica position', 'store-unavailable')
    t.equal((await cache.get('unread')).value, old)
    t.equal(cache.status().replicaUsable, false)
    t.equal((await cache.get('other')).value, old)
    t.equal(replicaReads(), 1)
    t.match(cache.status().stats, { replicaUnavailable: 3 })
    await advance()
    t.equal(cache.status().replicaUsable, false, 'not at once')
    for (let tenth = 0; tenth < 10; tenth++) await advance()
    t.equal(cache.status().replicaUsable, true)
  },
)

t.test(
  'P13: with the primary away a replica still answers, and what is kept waits for the primary',
  async (t) => {
    const { store, cache } = await sidecarWithReplica()
    store.stop()
    t.match(await cache.set('kept', recent), { written: false })
    store.statements.length = 0
    t.equal((await cache.get('unread')).value, old)
    await turn()
    t.strictSame(store.statements, [{ operation: 'replica read', keys: ['unread'] }])
    t.equal((await cache.get('kept')).value, recent)
  },
)

t.test('P13: an entry that the replica omits because it expires is read from the primary', async (t) => {
  const { store, feed, cache, advance, clock } = await sidecarWithReplica()
  store.setBySql('k', recent, { remainingMs: 1_000 })
  feed.deliver()
  store.replicaReplays()
  await advance()
  await advance()
  t.equal((await cache.get('k')).value, recent)
  t.match(cache.status().stats, { replicaExpiring: 1 })
  clock.advance(1_001)
  t.equal(cache.hit('k'), undefined)
})

t.test('P13: with too many keys to remember, all are read from the primary', async (t) => {
  const { store, feed, cache, replicaReads, advance } = await sidecarWithReplica()
  for (let key = 0; key <= 10_000; key++) store.setBySql(String(key), old)
  feed.deliver()
  t.equal((await cache.get('unread')).value, old)
  t.equal(replicaReads(), 0)
  store.replicaReplays()
  await advance()
  await cache.get('other')
  t.equal(replicaReads(), 1)
})

t.test('P13: the answer of a replica is not remembered as the answer to a token', async (t) => {
  const { store, feed, cache, clock, advance } = await sidecarWithReplica({ ttlMs: 1_000 })
  const version = store.versionOf('unread') ?? ''
  const token = parseToken(formatToken('unread', { version, epoch: store.now().epoch }))
  await cache.get('unread')
  clock.advance(1_000)
  feed.probe()()
  await advance()
  t.match(
    await cache.get('unread', { token }),
    { forwarded: 'stale', stored: true },
    'it is held, but expired',
  )
  store.setBySql('unread', recent)
  feed.deliver()
  await advance()
  await advance()
  t.match(await cache.get('unread'), { value: recent, stored: true })
  t.match(cache.status().stats, { replicaFills: 3 })
  t.match(await cache.get('unread', { token }), { value: recent, forwarded: 'request' })
  t.match(await cache.get('unread', { token }), { value: recent, forwarded: undefined }, 'once')
})
