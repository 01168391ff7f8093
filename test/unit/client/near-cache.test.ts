import t from 'tap'
import { type NearAnswer, NearCache, type StreamProof } from '../../../clients/node/src/near/near-cache.js'
import { keyId } from '../../../src/core/state/key-id.js'
import { DrivenClock } from '../../support/driven-clock.js'

const maxStalenessMs = 3_000

function proof(askedMs: number, durations: Partial<StreamProof> = {}): StreamProof {
  return { askedMs, elapsedMs: 0, ageMs: 0, outboxAgeMs: 0, ...durations }
}

function answer(key: string, version: string, more: Partial<NearAnswer> = {}): NearAnswer {
  const entry = { content: `value ${version}`, version, etag: `"${version}-1-A"`, bytes: 10 }
  return { key, feed: { name: 'a.1', viaOutbox: false }, entry, remainingMs: undefined, ...more }
}

/** A near cache that follows the feed `a.1`, proven up to now. */
function followed(options = {}) {
  const clock = new DrivenClock()
  const near = new NearCache({ maxEntries: 100, maxBytes: 1_000, ...options }, clock)
  near.opened('a.1', maxStalenessMs, false)
  near.proven(proof(clock.now()))
  const fill = (key: string, version: string, more: Partial<NearAnswer> = {}) => {
    const flight = near.open(key)
    const isPut = near.answered(flight, answer(key, version, more))
    near.close(flight)
    return isPut
  }
  const absent = (key: string, viaOutbox = false, remainingMs?: number) =>
    fill(key, '0', { entry: undefined, feed: { name: 'a.1', viaOutbox }, remainingMs })
  const held = (key: string) => near.hit(key)?.content
  return { clock, near, fill, absent, held }
}

t.test('an answer is served as long as it is proven, and not longer', async (t) => {
  const { clock, near, fill, held } = followed()
  t.ok(fill('k', '7'))
  t.equal(held('k'), 'value 7')
  clock.advance(maxStalenessMs)
  t.equal(held('k'), 'value 7')
  clock.advance(1)
  t.equal(near.hit('k'), undefined)
  near.proven(proof(clock.now() - 500, { elapsedMs: 400, ageMs: 100 }))
  t.equal(near.stats().leaseAgeMs, 200)
  clock.advance(2_800)
  t.equal(held('k'), 'value 7')
  clock.advance(1)
  t.equal(near.hit('k'), undefined)
})

t.test('a proof that a clock has spoilt does not count', async (t) => {
  const { clock, near } = followed()
  clock.advance(1_000)
  t.notOk(near.proven(proof(clock.now() - 100, { elapsedMs: 101 })))
  t.equal(near.stats().leaseAgeMs, 1_000)
  t.ok(near.proven(proof(clock.now() - 100, { elapsedMs: 100, ageMs: Number.POSITIVE_INFINITY })))
  t.equal(near.stats().leaseAgeMs, 1_000, 'before the sidecar has caught up, nothing is proven')
})

t.test('a bound key goes by the older of both leases', async (t) => {
  const { clock, near, fill, held } = followed()
  fill('k', '7', { feed: { name: 'a.1', viaOutbox: true } })
  clock.advance(2_000)
  near.proven(proof(clock.now(), { outboxAgeMs: 2_000 }))
  t.equal(held('k'), 'value 7')
  clock.advance(1_001)
  t.equal(near.hit('k'), undefined)
  near.proven(proof(clock.now()))
  t.equal(held('k'), 'value 7')
})

t.test('a change drops what has another version, and stops reads under way', async (t) => {
  const { near, fill, held } = followed()
  fill('k', '7')
  near.changed('k', '7')
  t.equal(held('k'), 'value 7')
  near.changed('k', '8')
  t.equal(near.hit('k'), undefined)
  const flight = near.open('k')
  near.changed('k', '9')
  t.notOk(near.answered(flight, answer('k', '8')))
  t.ok(near.answered(flight, answer('k', '9')), 'the change announced what was read')
  near.changed('k', undefined)
  t.equal(near.hit('k'), undefined, 'a bound row has no version')
  const long = 'x'.repeat(600)
  fill(long, '7')
  near.changed(keyId(long), '8')
  t.equal(near.hit(long), undefined)
  t.match(near.stats(), { invalidations: 3, entries: 0 })
})

t.test('an older answer is not put over a newer one', async (t) => {
  const { near, held } = followed()
  const [slow, quick] = [near.open('k'), near.open('k')]
  t.ok(near.answered(quick, answer('k', '8')))
  near.close(quick)
  t.notOk(near.answered(slow, answer('k', '7')))
  t.equal(held('k'), undefined, 'whoever got 7 must not get 8 and then 7, so neither is held')
})

t.test('only answers by the feed of the stream are put', async (t) => {
  const { near, fill, held } = followed()
  for (const name of ['b.1', 'a.2', 'a.0'])
    t.notOk(fill('k', '7', { feed: { name, viaOutbox: false } }), name)
  t.notOk(fill('k', '7', { feed: undefined }))
  t.equal(held('k'), undefined)
  const before = near.open('k')
  near.gap('a.2')
  near.proven(proof(0))
  for (const name of ['a.1', 'a.2'])
    t.notOk(
      near.answered(before, answer('k', '7', { feed: { name, viaOutbox: false } })),
      `before the gap: ${name}`,
    )
})

t.test('the statistics say what can be served', (t) => {
  const { clock, near, held, fill } = followed()
  fill('k', '7')
  const feedAfter = (ms: number) => {
    clock.advance(ms)
    return [near.stats().feed, held('k')]
  }
  t.same(feedAfter(0), ['live', 'value 7'])
  t.same(feedAfter(maxStalenessMs), ['live', 'value 7'])
  t.same(feedAfter(1), ['unproven', undefined], 'the stream is open, and its sidecar says nothing')
  near.proven(proof(clock.now()))
  t.same(feedAfter(0), ['live', 'value 7'])
  near.gap('a.2')
  t.same(feedAfter(0), ['unproven', undefined], 'before the first proof')
  near.lost()
  t.same(feedAfter(0), ['down', undefined])
  t.end()
})

t.test('a gap drops everything, and the lease', async (t) => {
  const { clock, near, fill, absent } = followed()
  fill('k', '7')
  absent('none')
  t.equal(near.hit('none'), null)
  near.gap('a.2')
  t.match(near.stats(), { entries: 0, absentKeys: 0, leaseAgeMs: undefined })
  near.proven(proof(clock.now()))
  t.strictSame([near.hit('k'), near.hit('none')], [undefined, undefined])
})

t.test('a stream that continues keeps what is held, and any other one starts over', async (t) => {
  const { near, fill, held } = followed()
  fill('k', '7')
  near.lost()
  t.match(near.stats(), { feed: 'down' })
  t.equal(held('k'), 'value 7', 'the lease lasts')
  t.notOk(fill('l', '1'), 'nobody would announce a change')
  const meanwhile = near.open('l')
  near.opened('a.1', maxStalenessMs, true)
  t.notOk(near.answered(meanwhile, answer('l', '1')))
  t.ok(fill('l', '1'))
  t.equal(held('k'), 'value 7')
  for (const [feed, ms, isContinued] of [
    ['a.1', maxStalenessMs, false],
    ['b.1', maxStalenessMs, true],
    ['a.1', 100, true],
  ] as const) {
    const { near, fill, held } = followed()
    fill('k', '7')
    near.lost()
    near.opened(feed, ms, isContinued)
    near.proven(proof(0))
    t.equal(held('k'), undefined, `${feed} ${ms} ${isContinued}`)
  }
})

t.test('a key that does not exist is remembered until somebody creates it', async (t) => {
  const { near, fill, absent } = followed()
  t.ok(absent('k'))
  near.changed('k', '-8')
  t.equal(near.hit('k'), null)
  near.changed('k', '9')
  t.equal(near.hit('k'), undefined)
  const flight = near.open('k')
  near.changed('k', '9')
  t.notOk(near.answered(flight, answer('k', '0', { entry: undefined })))
  absent('k')
  t.ok(fill('k', '9'))
  t.equal(near.stats().absentKeys, 0)
})

t.test('the absence of a bound key goes by both leases, and by the time of its query', async (t) => {
  const { clock, near, absent } = followed()
  t.ok(absent('bound', true))
  t.ok(absent('timed', true, 2_000))
  clock.advance(1_999)
  near.proven(proof(clock.now()))
  t.strictSame([near.hit('bound'), near.hit('timed')], [null, null])
  clock.advance(1)
  t.strictSame([near.hit('bound'), near.hit('timed')], [null, undefined])
  near.changed('bound', undefined)
  t.equal(near.hit('bound'), undefined, 'a change of a bound row names no version')
  t.ok(absent('bound', true))
  clock.advance(2_000)
  near.proven(proof(clock.now(), { outboxAgeMs: maxStalenessMs + 1 }))
  absent('entry')
  clock.advance(1_001)
  t.strictSame([near.hit('bound'), near.hit('entry')], [undefined, null])
})

t.test('a write of this client ends what was read before it', async (t) => {
  const { near, fill, absent, held } = followed()
  fill('k', '7')
  const [older, own] = [near.open('k'), near.open('k')]
  near.written('k', '8')
  t.equal(held('k'), undefined)
  t.notOk(near.answered(older, answer('k', '7')))
  t.ok(near.answered(own, answer('k', '8')))
  near.written('k', undefined)
  t.equal(held('k'), undefined)
  fill('k', '9')
  absent('none')
  const flight = near.open('l')
  near.removedUnnamed()
  t.strictSame([held('k'), near.hit('none')], [undefined, undefined])
  t.notOk(near.answered(flight, answer('l', '1')))
  t.ok(fill('l', '1'))
})

t.test('values expire with their row and with the time to live, and old ones make room', async (t) => {
  const { clock, near, fill, held } = followed({ maxEntries: 20, ttlMs: 2_000, maxBytes: 100 })
  fill('row', '1', { remainingMs: 1_000 })
  fill('own', '1', { remainingMs: 5_000 })
  clock.advance(999)
  t.equal(held('row'), 'value 1')
  clock.advance(1)
  t.strictSame([held('row'), held('own')], [undefined, 'value 1'])
  clock.advance(1_000)
  t.equal(held('own'), undefined)
  for (let n = 0; n < 30; n++) fill(`k${n}`, '1')
  t.match(near.stats(), { entries: 10, bytes: 100, evictions: 22 })
  t.equal(held('k29'), 'value 1')
})
