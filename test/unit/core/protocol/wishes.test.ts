import t from 'tap'
import type { StoredEntry } from '../../../../src/core/entry.js'
import { formatToken, parseToken } from '../../../../src/core/state/session-token.js'
import type { DeleteResult, WriteResult } from '../../../../src/core/writes/write-result.js'
import { liveSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

/** Two sidecars on one store; what changed reaches each when its feed delivers. */
async function twoSidecars() {
  const here = await liveSidecar()
  const there = await liveSidecar({}, here)
  return { here, there, store: here.store, clock: here.clock }
}

async function tokenOf(write: Promise<WriteResult | DeleteResult>) {
  const result = await write
  return parseToken(('token' in result && result.token) || '')
}

// --- P10: strong reads ---

t.test('P10: a strong read sees a write whose change has not arrived yet', async (t) => {
  const { store, cache } = await liveSidecar()
  await cache.set('k', '1')
  store.setBySql('k', '2')
  t.equal((await cache.get('k')).value, '1', 'a default read may be bounded-stale')
  t.match(await cache.get('k', { strong: true }), { value: '2', forwarded: 'request' })
})

t.test('P10: strong reads that wait at the same time share a statement', async (t) => {
  const { store, cache } = await liveSidecar()
  const keys = Array.from({ length: 50 }, (_, index) => `k${index}`)
  for (const key of keys) store.setBySql(key, '1')
  const before = store.statements.length
  const reads = await Promise.all(
    Array.from({ length: 500 }, (_, index) => cache.get(keys[index % 50] as string, { strong: true })),
  )
  t.ok(reads.every(({ value }) => value === '1'))
  t.equal(store.statements.length - before, 1)
})

t.test('P10: a strong read does not join a fill that began before it', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('k', '1')
  const answering = store.hold('read', 'after')
  const early = cache.get('k')
  await turn()
  store.setBySql('k', '2')
  const strong = cache.get('k', { strong: true })
  await turn()
  answering.open()
  t.equal((await early).value, '1')
  t.equal((await strong).value, '2')
})

t.test('P10: a cached entry is confirmed without transferring its value', async (t) => {
  const { store, cache } = await liveSidecar()
  await cache.set('k', '"large"')
  const answers: unknown[] = []
  const read = store.read.bind(store)
  store.read = async (wanted) => {
    const answer = await read(wanted)
    answers.push((answer.get('k') as StoredEntry).value)
    return answer
  }
  t.equal((await cache.get('k', { strong: true })).value, '"large"')
  t.same(answers, [undefined])
})

t.test('P10: an equal version of another history is a different version', async (t) => {
  const { store, cache } = await liveSidecar()
  const backup = store.backup()
  await cache.set('k', '"lost"')
  store.failOver('1-00000002', backup)
  store.setBySql('k', '"new"', { version: cache.hit('k')?.version ?? '' })
  t.equal((await cache.get('k', { strong: true })).value, '"new"')
  t.not(cache.hit('k')?.value, '"new"', 'and it is not put among entries of the old one')
})

t.test('P10: a strong read is never answered from memory, even if the store is unavailable', async (t) => {
  const { store, cache } = await liveSidecar()
  await cache.set('k', '1')
  store.stop()
  await t.rejects(cache.get('k', { strong: true }), { code: 'store-unavailable' })
  t.equal((await cache.get('k')).value, '1')
})

// --- P11: read your writes ---

t.test('P11: with a token, another sidecar reads the primary until it has applied the change', async (t) => {
  const { here, there, store } = await twoSidecars()
  await here.cache.set('k', '1')
  there.feed.deliver()
  await there.cache.get('k')
  const token = await tokenOf(here.cache.set('k', '2'))
  t.equal((await there.cache.get('k')).value, '1', 'without a token it may be bounded-stale')
  t.match(await there.cache.get('k', { token }), { value: '2', forwarded: 'request' })

  there.feed.deliver()
  await there.cache.get('k')
  const before = store.statements.length
  t.match(await there.cache.get('k', { token }), { value: '2', forwarded: undefined })
  t.equal(store.statements.length, before, 'from memory from then on')
})

t.test('P11: a later write satisfies the token, whatever its version', async (t) => {
  const { here, there, store } = await twoSidecars()
  const token = await tokenOf(here.cache.set('k', '1'))
  there.feed.deliver()
  store.setBySql('k', '2')
  there.feed.deliver()
  await there.cache.get('k')
  t.match(
    await there.cache.get('k', { token }),
    { value: '2', forwarded: 'request' },
    'only the store can say so',
  )
  t.match(await there.cache.get('k', { token }), { value: '2', forwarded: undefined }, 'once')
  t.match(await here.cache.get('k', { token }), { value: '1', forwarded: undefined }, 'nor here')
})

t.test('P11: a version that a notification names before it is committed satisfies no token', async (t) => {
  const { here, there, store } = await twoSidecars()
  const { written } = (await tokenOf(here.cache.set('k', '1'))) ?? {}
  there.feed.deliver()
  await there.cache.get('k')
  // Any role of the database may send this, with the version that comes next. It names another key, so nothing is dropped.
  there.cache.changed({ kind: 'key', id: 'another', version: String(Number(written?.version) + 1) })
  const token = await tokenOf(here.cache.set('k', '2'))
  t.match(await there.cache.get('k', { token }), { value: '2', forwarded: 'request' })
  t.equal(store.valueOf('k'), '2')
})

t.test('P11: a read for a token that the store did not issue satisfies no other token', async (t) => {
  const { here, there } = await twoSidecars()
  const { keyHash = '', written } = (await tokenOf(here.cache.set('k', '1'))) ?? {}
  there.feed.deliver()
  await there.cache.get('k')
  const guessed = {
    keyHash,
    written: { version: String(Number(written?.version) + 1), epoch: String(written?.epoch) },
  }
  await there.cache.get('k', { token: guessed })
  t.same(await tokenOf(here.cache.set('k', '2')), guessed, 'the guess was right')
  t.match(await there.cache.get('k', { token: guessed }), { value: '2', forwarded: 'request' })
})

t.test('P11: a late fill does not undo a read that a token caused', async (t) => {
  const { here, there, store } = await twoSidecars()
  store.setBySql('k', '1')
  const answer = store.hold('read', 'after')
  const late = there.cache.get('k')
  await answer.reached
  const token = await tokenOf(here.cache.set('k', '2')) // its change is late at the other sidecar
  t.match(await there.cache.get('k', { token }), { value: '2', stored: true })
  answer.open()
  t.match(await late, { value: '1', stored: false })
  t.equal((await there.cache.get('k', { token })).value, '2')
})

t.test('P11: the token of a delete leads to the absence or something later', async (t) => {
  const { here, there, store } = await twoSidecars()
  store.setBySql('k', '1')
  there.feed.deliver()
  await there.cache.get('k')
  const token = await tokenOf(here.cache.delete('k'))
  t.equal((await there.cache.get('k')).value, '1')
  t.equal((await there.cache.get('k', { token })).value, undefined)
})

t.test(
  'P11: a delete of nothing leads to the primary: what another sidecar holds may be older',
  async (t) => {
    const { here, there, store } = await twoSidecars()
    store.setBySql('k', '1')
    there.feed.deliver()
    await there.cache.get('k')
    store.deleteBySql('k')
    const token = await tokenOf(here.cache.delete('k'))
    t.equal((await there.cache.get('k', { token })).value, undefined)
  },
)

t.test('P11: a token concerns only its own key', async (t) => {
  const { here, there } = await twoSidecars()
  await there.cache.set('k', '1')
  const token = await tokenOf(here.cache.set('other', '2'))
  t.match(await there.cache.get('k', { token }), { value: '1', forwarded: undefined })
})

t.test('P11: after a flush no version counts as confirmed', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  await cache.set('k', '"old"')
  const snapshot = store.backup()
  await cache.set('k', '"recent"')
  feed.lose()
  store.rewind(snapshot)
  await feed.connect()
  t.equal((await cache.get('k')).value, '"old"')
  // The sequence of the model draws the same number once more, and the change is late.
  const version = store.setBySql('k', '"another"')
  const token = parseToken(formatToken('k', { version, epoch: store.now().epoch }))
  t.equal((await cache.get('k', { token })).value, '"another"')
})

t.test('P11: a token of another history leads to the primary', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const backup = store.backup()
  const token = await tokenOf(cache.set('k', '"lost"'))
  feed.lose()
  store.failOver('1-00000002', backup)
  await feed.connect()
  await cache.set('k', '"new"')
  t.match(await cache.get('k', { token }), { value: '"new"', forwarded: 'request' })
})

t.test(
  'P11: a late answer to a write in another history is not the write that the token came from',
  async (t) => {
    const { here, there, store } = await twoSidecars()
    store.setBySql('k', '1')
    const backup = store.backup()
    const answer = store.hold('write', 'after')
    const lost = here.cache.set('k', '"lost"')
    await answer.reached
    store.failOver('1-00000002', backup)
    for (const { feed } of [here, there]) {
      feed.lose()
      await feed.connect()
    }
    answer.open()
    await lost
    t.match(await here.cache.get('k'), { value: '1', stored: true })
    const token = await tokenOf(there.cache.set('k', '2'))
    t.equal((await here.cache.get('k', { token })).value, '2', 'though it has the version of the lost one')
  },
)

t.test('P11: in an outage, the write of the token is served if it is here, and nothing older', async (t) => {
  const { here, there, store, clock } = await twoSidecars()
  const old = await tokenOf(there.cache.set('k', '1'))
  const token = await tokenOf(here.cache.set('k', '2'))
  store.stop()
  clock.advance(maxStalenessMs + 1)
  t.match(await there.cache.get('k', { token: old }), { value: '1', stale: 'unproven' })
  await t.rejects(there.cache.get('k', { token }), { code: 'store-unavailable' })
})

t.test('P11: a pending write does not answer the token of a later write made elsewhere', async (t) => {
  const { here, there, store } = await twoSidecars()
  store.stop()
  await there.cache.set('k', '1')
  store.restart()
  const token = await tokenOf(here.cache.set('k', '2'))
  there.feed.deliver()
  t.match(await there.cache.get('k'), { value: '1', stale: 'kept' }, 'without a token it may')
  t.match(await there.cache.get('k', { token }), { value: '2', forwarded: 'request' })
})

t.test('P11: a pending write that is later than the write of the token satisfies it', async (t) => {
  const { here, there, store } = await twoSidecars()
  store.stop()
  await there.cache.set('k', '0')
  store.restart()
  const own = await tokenOf(here.cache.set('k', '1'))
  there.feed.deliver()
  here.feed.deliver()
  store.stop()
  await here.cache.set('k', '2')
  t.match(await here.cache.get('k', { token: own }), { value: '2', stale: 'kept' })
  // Here only a change told of the client's own write, and anybody can announce one.
  await there.cache.set('k', '2')
  await t.rejects(there.cache.get('k', { token: own }), { code: 'store-unavailable' })
})

t.test('P11: the echo of the write before a pending one does not count as a later write', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const token = await tokenOf(cache.set('k', '1'))
  store.stop()
  await cache.set('k', '2')
  feed.deliver()
  t.match(await cache.get('k', { token }), { value: '2', stale: 'kept' })
})

t.test('P11: a pending write has no token', async (t) => {
  const { store, cache } = await liveSidecar()
  store.stop()
  t.same(await cache.set('k', '1'), { written: false })
  t.equal((await cache.delete('k')).token, undefined)
})

// --- What memory alone can answer ---

t.test('recall answers only from memory', async (t) => {
  const { store, clock, cache } = await liveSidecar()
  store.setBySql('k', '1')
  t.equal(cache.recall('k'), undefined)
  await cache.get('k')
  clock.advance(1_000)
  t.match(cache.recall('k'), { value: '1', ageMs: 1_000, ttlMs: 59_000 })
  t.equal(cache.recall('k', { strong: true }), undefined)
  clock.advance(maxStalenessMs)
  t.equal(cache.recall('k'), undefined, 'not once it is unproven')
})

// --- P7: own writes as echoes ---

t.test('P7: a feed that does not deliver our own writes is not trusted', async (t) => {
  const { clock, store, cache } = await liveSidecar()
  await cache.set('k', '1')
  clock.advance(1)
  t.throws(() => cache.proven(clock.now(), store.now()), { message: /not announced/ })
  t.equal(store.valueOf('k'), '1')
})

t.test('P7: a probe that was sent before the write was acknowledged says nothing about it', async (t) => {
  const { clock, store, cache } = await liveSidecar()
  const sentMs = clock.now()
  clock.advance(1)
  await cache.set('k', '1')
  t.doesNotThrow(() => cache.proven(sentMs, store.now()))
})

t.test('P7: a write whose change arrived before its answer is not awaited', async (t) => {
  const { clock, store, feed, cache } = await liveSidecar()
  const answer = store.hold('write', 'after')
  const writing = cache.set('k', '1')
  await answer.reached
  feed.deliver()
  answer.open()
  await writing
  clock.advance(1)
  t.doesNotThrow(() => cache.proven(clock.now(), store.now()))
})
