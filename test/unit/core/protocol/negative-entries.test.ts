/** P14: keys that are known not to exist. */
import t from 'tap'
import type { ReadOptions } from '../../../../src/core/reads/read-result.js'
import { parseToken } from '../../../../src/core/state/session-token.js'
import { liveSidecar, type ModelSidecar, maxStalenessMs, ttlMs } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

const never = Number.POSITIVE_INFINITY

function readsOf({ store }: ModelSidecar): number {
  return store.statements.filter(({ operation }) => operation === 'read').length
}

/** A live sidecar that holds the absence of `k`. */
async function withAbsence(...options: Parameters<typeof liveSidecar>) {
  const sidecar = await liveSidecar(...options)
  await sidecar.cache.get('k')
  return sidecar
}

/** Returns true if memory alone says that the key does not exist. */
function saysAbsent({ cache }: ModelSidecar, key = 'k', options: ReadOptions = {}): boolean {
  const recalled = cache.recall(key, options)
  return recalled !== undefined && recalled.value === undefined && recalled.stale === undefined
}

t.test('a missing key is queried once, and then answered from memory', async (t) => {
  const sidecar = await liveSidecar()
  const { cache, clock } = sidecar
  t.match(await cache.get('k'), { value: undefined, forwarded: 'miss', stored: true })
  clock.advance(100)
  t.strictSame(await cache.get('k'), {
    value: undefined,
    ageMs: 100,
    ttlMs: ttlMs - 100,
    expiresInMs: undefined,
  })
  t.equal(readsOf(sidecar), 1)
  t.equal(cache.hit('k'), undefined, 'it is no entry')
  t.match(cache.status(), { size: 0, negativeSize: 1, negativeBytes: 1, stats: { hits: 1, negativeHits: 1 } })
})

t.test('an insert anywhere, of any kind, removes the absence', async (t) => {
  const sidecar = await withAbsence()
  const { store, feed, cache } = sidecar
  store.setBySql('k', '1')
  t.ok(saysAbsent(sidecar), 'until the change arrives')
  feed.deliver()
  t.notOk(saysAbsent(sidecar))
  t.equal((await cache.get('k')).value, '1')
  t.equal(cache.status().negativeSize, 0)
})

t.test('a write through this sidecar removes it, also one whose outcome is unknown', async (t) => {
  for (const fault of [undefined, 'outcome-unknown', 'store-unavailable'] as const) {
    const sidecar = await withAbsence()
    const { store, cache } = sidecar
    if (fault) store.fail('write', fault, 'before')
    await cache.set('k', '1').catch(() => undefined)
    t.notOk(saysAbsent(sidecar), fault ?? 'written')
  }
})

t.test('a fill that began before an insert does not put the absence', async (t) => {
  // The interleaving of `Flights.mayPutAbsence`.
  const sidecar = await liveSidecar()
  const { store, feed, cache } = sidecar
  const answer = store.hold('read', 'after')
  const read = cache.get('k')
  await answer.reached
  store.setBySql('k', '1')
  feed.deliver()
  answer.open()
  t.match(await read, { value: undefined, stored: false })
  t.notOk(saysAbsent(sidecar))
})

t.test('a fill that began before a delete may put the absence', async (t) => {
  const sidecar = await liveSidecar()
  const { store, feed, cache } = sidecar
  store.setBySql('k', '1')
  feed.deliver()
  const answer = store.hold('read', 'before')
  const read = cache.get('k')
  await answer.reached
  store.deleteBySql('k')
  feed.deliver()
  answer.open()
  t.match(await read, { value: undefined, stored: true })
  t.ok(saysAbsent(sidecar))
})

t.test('a fill does not put what is older than the absence that another one has put', async (t) => {
  const sidecar = await liveSidecar()
  const { store, feed, cache } = sidecar
  store.setBySql('k', '1')
  feed.deliver()
  const slow = store.hold('read', 'after')
  const first = cache.get('k')
  await slow.reached
  store.deleteBySql('k')
  t.match(await cache.get('k', { strong: true }), { value: undefined, stored: true })
  slow.open()
  t.match(await first, { value: '1', stored: false })
  t.equal(cache.hit('k'), undefined)
})

t.test('without a feed that has caught up, nothing is remembered', async (t) => {
  const sidecar = await liveSidecar()
  const { clock, feed, cache } = sidecar
  feed.lose()
  clock.advance(maxStalenessMs + 1)
  t.match(await cache.get('k'), { value: undefined, stored: false })
  await feed.connect()
  t.notOk(saysAbsent(sidecar))
})

t.test('a fill from before a loss of the feed puts nothing after it', async (t) => {
  const sidecar = await liveSidecar()
  const { store, feed, cache } = sidecar
  const answer = store.hold('read', 'after')
  const read = cache.get('k')
  await answer.reached
  feed.lose()
  store.setBySql('k', '1')
  await feed.connect()
  answer.open()
  t.match(await read, { value: undefined, stored: false })
  t.notOk(saysAbsent(sidecar))
})

t.test('a reconnect compares: what was inserted meanwhile is dropped, the rest stays', async (t) => {
  const sidecar = await withAbsence()
  const { store, feed, cache } = sidecar
  await cache.get('other')
  feed.lose()
  store.setBySql('k', '1')
  await feed.connect()
  t.notOk(saysAbsent(sidecar))
  t.ok(saysAbsent(sidecar, 'other'))
  t.match(cache.status(), { stats: { revalidationDrops: 1 } })
})

t.test('a doubt compares as well', async (t) => {
  const sidecar = await withAbsence()
  const { clock, store, feed } = sidecar
  clock.advance(maxStalenessMs / 3)
  store.setManyBySql({ k: '1' })
  feed.deliver()
  await turn()
  t.notOk(saysAbsent(sidecar))
})

t.test('no versions, because the history is another one, confirm no absence', async (t) => {
  const sidecar = await withAbsence()
  const { store, feed } = sidecar
  feed.lose()
  const versions = store.hold('versions', 'before')
  const connecting = feed.connect()
  await versions.reached
  // Another server takes over, which has the row. It answers nothing to a question about the history of before.
  store.setBySql('k', '1')
  store.failOver('2-00000002', store.backup())
  versions.open()
  await connecting
  t.notOk(saysAbsent(sidecar))
})

t.test('an answer from another history puts nothing', async (t) => {
  const sidecar = await liveSidecar()
  const { clock, store, cache } = sidecar
  clock.advance(1)
  store.failOver('2-00000002', store.backup())
  t.match(await cache.get('k'), { value: undefined, stored: false })
  t.notOk(saysAbsent(sidecar))
})

t.test('another fingerprint of the table drops all absences', async (t) => {
  const sidecar = await withAbsence()
  const { store, feed } = sidecar
  store.alterWith(undefined)
  feed.probe()()
  t.notOk(saysAbsent(sidecar))
})

t.test('a strong read asks the primary, and corrects what is held', async (t) => {
  const sidecar = await withAbsence()
  const { store, cache } = sidecar
  store.setBySql('k', '1') // its change is late
  t.match(await cache.get('k', { strong: true }), { value: '1', stored: true })
  t.equal(cache.hit('k')?.value, '1')
  t.equal(cache.status().negativeSize, 0)
})

t.test('a strong read that may put nothing drops an absence that is wrong', async (t) => {
  const sidecar = await withAbsence()
  const { store, feed, cache } = sidecar
  const answer = store.hold('read', 'after')
  store.setBySql('k', '1')
  const read = cache.get('k', { strong: true })
  await answer.reached
  feed.lose()
  answer.open()
  t.match(await read, { value: '1', stored: false })
  t.notOk(saysAbsent(sidecar))
})

t.test('a read with a token that is not known here goes to the primary', async (t) => {
  const sidecar = await withAbsence()
  const other = await liveSidecar({}, sidecar)
  const written = await other.cache.set('k', '1')
  const token = parseToken('token' in written ? written.token : '')
  t.notOk(saysAbsent(sidecar, 'k', { token }))
  t.equal((await sidecar.cache.get('k', { token })).value, '1')
})

t.test('a read with a token whose answer is an absence asks again the next time', async (t) => {
  const sidecar = await liveSidecar()
  const other = await liveSidecar({}, sidecar)
  const written = await other.cache.set('k', '1')
  const token = parseToken('token' in written ? written.token : '')
  sidecar.store.deleteBySql('k')
  sidecar.feed.deliver()
  t.equal((await sidecar.cache.get('k', { token })).value, undefined)
  t.ok(saysAbsent(sidecar))
  t.notOk(saysAbsent(sidecar, 'k', { token }))
})

t.test('after a delete through this sidecar, the key is known to be absent', async (t) => {
  const sidecar = await liveSidecar()
  const { feed, cache } = sidecar
  await cache.set('k', '1')
  feed.deliver()
  const { token } = await cache.delete('k')
  t.ok(saysAbsent(sidecar))
  t.ok(saysAbsent(sidecar, 'k', { token: parseToken(token ?? '') }), 'also for the client that deleted it')
  feed.deliver()
  t.ok(saysAbsent(sidecar), 'its own change does not drop it')
  t.equal(readsOf(sidecar), 0)
})

t.test('a delete with a trigger of somebody else, or of nothing, puts no absence', async (t) => {
  const sidecar = await liveSidecar()
  const { store, feed, cache } = sidecar
  await cache.delete('nothing')
  t.notOk(saysAbsent(sidecar, 'nothing'), 'the row may have been replaced while the statement waited for it')
  store.alterWith((value) => value)
  await cache.set('k', '1')
  feed.deliver()
  await cache.delete('k')
  t.notOk(saysAbsent(sidecar), 'the trigger may have inserted it again')
})

t.test('the absence that a replica reports is not remembered', async (t) => {
  const sidecar = await liveSidecar({}, { withReplica: true })
  const { store, cache, clock } = sidecar
  store.replicaReplays()
  await cache.get('a') // asks for a position that the replica has replayed
  clock.advance(100)
  const before = readsOf(sidecar)
  t.match(await cache.get('k'), { value: undefined, stored: undefined })
  t.equal(readsOf(sidecar), before, 'the replica was asked')
  t.notOk(saysAbsent(sidecar))
})

t.test('without proof, an absence is not served: the key may exist by now', async (t) => {
  for (const onFeedLoss of ['bypass', 'stale'] as const) {
    const sidecar = await withAbsence({ onFeedLoss })
    const { clock, store, feed, cache } = sidecar
    feed.lose()
    t.ok(saysAbsent(sidecar), 'the lease lasts')
    clock.advance(maxStalenessMs + 1)
    t.equal(cache.recall('k'), undefined)
    store.stop()
    await t.rejects(cache.get('k'), { code: 'store-unavailable' }, 'never absent during an outage')
  }
})

t.test('a pending write takes precedence, and nothing is put beside it', async (t) => {
  const sidecar = await withAbsence()
  const { store, cache } = sidecar
  store.stop()
  t.match(await cache.set('k', '1'), { written: false })
  t.match(await cache.get('k'), { value: '1', stale: 'kept' })
  store.restart()
  const settle = store.hold('settle', 'before')
  t.match(await cache.get('k', { strong: true }), { value: undefined, stored: false })
  t.match(await cache.get('k'), { value: '1', stale: 'kept' })
  settle.open()
})

t.test('the base of a pending write is the same with an absence as without', async (t) => {
  const { store, cache } = await withAbsence()
  store.stop()
  await cache.set('k', '1')
  store.restart()
  // The feed has not brought it yet. The row is newer than the mark, so it stays.
  store.setBySql('k', '2')
  await cache.get('another')
  t.equal(store.valueOf('k'), '2')
})

t.test('the time to live ends it, by the rules of its prefix', async (t) => {
  const sidecar = await liveSidecar({ ttlMs: never, ttlRules: [{ prefix: 'short:', ttlMs: 1_000 }] })
  const { clock, feed, cache } = sidecar
  await cache.get('short:k')
  await cache.get('long')
  clock.advance(1_000)
  feed.probe()()
  t.notOk(saysAbsent(sidecar, 'short:k'))
  t.ok(saysAbsent(sidecar, 'long'))
  t.equal(cache.status().negativeSize, 1, 'one that has expired is of no use')
})

t.test('with a sliding time to live, each hit starts it again', async (t) => {
  const sidecar = await withAbsence({ ttlMs: 1_000, ttlMode: 'sliding' })
  const { clock, feed } = sidecar
  for (let hits = 0; hits < 3; hits++) {
    clock.advance(900)
    feed.probe()()
    t.ok(saysAbsent(sidecar))
  }
})

t.test('settings that change apply to what is remembered', async (t) => {
  const sidecar = await withAbsence()
  const { clock, feed, cache } = sidecar
  await cache.get('other')
  const bounds = { capacity: 100, maxBytes: undefined, negativeCapacity: 1, ttlMs: 500 }
  cache.reconfigure(bounds)
  t.notOk(saysAbsent(sidecar), 'the least recently used one is removed')
  t.ok(saysAbsent(sidecar, 'other'))
  clock.advance(500)
  feed.probe()()
  t.notOk(saysAbsent(sidecar, 'other'), 'a shorter time to live counts from then')
  await cache.get('k')
  cache.reconfigure({ ...bounds, negativeCapacity: 0 })
  t.notOk(saysAbsent(sidecar))
  t.match(await cache.get('k'), { stored: false })
  t.match(cache.status(), { negativeSize: 0, negativeCapacity: 0, negativeBytes: 0 })
})

t.test('any number of absent keys evicts no entry', async (t) => {
  const { cache } = await liveSidecar({ capacity: 2, negativeCapacity: 3, maxNegativeBytes: 20 })
  await cache.set('a', '1')
  await cache.set('b', '1')
  for (let n = 0; n < 100; n++) await cache.get(`none ${n}`)
  t.match(cache.status(), { size: 2, negativeSize: 2, negativeBytes: 14 })
  t.match(cache.status(), { stats: { evictions: 0, negativeEvictions: 98 } })
})

t.test('a row that has expired is absent until somebody updates it', async (t) => {
  const sidecar = await liveSidecar()
  const { clock, store, feed, cache } = sidecar
  store.setBySql('k', '1', { remainingMs: 100 })
  feed.deliver()
  clock.advance(200)
  t.match(await cache.get('k'), { value: undefined, stored: true })
  store.setBySql('k', '1', { remainingMs: 100 })
  feed.deliver()
  t.equal((await cache.get('k')).value, '1')
})

t.test('if the clock of the database goes back, an expired row may exist again', async (t) => {
  const sidecar = await liveSidecar()
  const { clock, store, feed, cache } = sidecar
  store.setBySql('k', '1', { remainingMs: 100 })
  feed.deliver()
  feed.probe()()
  clock.advance(200)
  await cache.get('k')
  const answer = store.hold('read', 'after')
  const reading = cache.get('another')
  await answer.reached
  store.putClockForward(-5_000)
  feed.probe()()
  t.notOk(saysAbsent(sidecar))
  t.equal((await cache.get('k')).value, '1')
  answer.open()
  t.match(await reading, { stored: false }, 'a fill from before that may be wrong as well')
})

t.test('a request for several keys uses what is known to be absent', async (t) => {
  const sidecar = await withAbsence()
  const { store, cache } = sidecar
  store.setBySql('a', '1')
  const reads = await cache.getMany(['a', 'k', 'new'], {}, () => undefined)
  t.same(
    reads.map(({ value, forwarded }) => [value, forwarded]),
    [
      ['1', 'miss'],
      [undefined, undefined],
      [undefined, 'miss'],
    ],
  )
  t.same(store.statements.at(-1)?.keys, ['a', 'new'])
  t.ok(saysAbsent(sidecar, 'new'))
})

t.test('the lists of keys and the warm-up have entries only', async (t) => {
  const sidecar = await withAbsence()
  const { cache } = sidecar
  t.same(await cache.heldKeys(), [])
  t.equal(await cache.warm('other'), false)
  t.notOk(saysAbsent(sidecar, 'other'))
  t.match(await cache.delete('k'), { held: false, stored: false })
})
