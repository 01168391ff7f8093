import t from 'tap'
import type { Base } from '../../../../src/core/entry.js'
import { CacheError } from '../../../../src/core/errors.js'
import { keyHash } from '../../../../src/core/state/key-hash.js'
import { Gate } from '../../../support/gate.js'
import { epoch, pendingWrites, unseen } from '../../../support/pending-writes.js'

t.test('nothing is sent if no write is pending', async (t) => {
  const { store, delivery } = pendingWrites()
  await delivery.send()
  t.same(store.statements, [])
})

t.test('a settled write is reported with the version it got, a settled delete without one', async (t) => {
  const { store, stats, settled, pending, delivery, keep } = pendingWrites()
  const version = store.setBySql('gone', '0')
  keep('k', '1')
  keep('gone', undefined, {
    base: { kind: 'held', version, value: undefined, fingerprint: store.now().fingerprint },
  })
  await delivery.send()
  t.same(settled, [
    ['k', { version: store.versionOf('k'), epoch }],
    ['gone', undefined],
  ])
  t.same([store.valueOf('k'), store.valueOf('gone')], ['1', undefined])
  t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 2, pendingConflicts: 0 } })
})

t.test('a conflict is reported without a version, counted and logged', async (t) => {
  const { store, stats, settled, logged, pending, delivery, keep } = pendingWrites()
  store.setBySql('k', '0')
  keep('k', '1')
  await delivery.send()
  t.equal(store.valueOf('k'), '0')
  t.same(settled, [['k', undefined]])
  t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 0, pendingConflicts: 1 } })
  t.match(logged, [{ level: 'warn', fields: { keyHash: keyHash('k') } }])
})

t.test('without a cached entry, only a row older than the mark is replaced', async (t) => {
  const { store, stats, delivery, keep } = pendingWrites()
  store.setBySql('before', '0')
  store.setBySql('both', '0')
  const { mark } = await store.mark()
  store.setBySql('after', '0')
  store.setBySql('both', '1')
  for (const key of ['before', 'both', 'after', 'free']) keep(key, '2', { base: { kind: 'unseen', mark } })
  await delivery.send()
  t.same(
    ['before', 'both', 'after', 'free'].map((key) => store.valueOf(key)),
    ['2', '1', '0', '2'],
  )
  t.match(stats, { pendingSettled: 2, pendingConflicts: 2 })
})

t.test('a mark that is gone means another history, in which nothing is replaced or added', async (t) => {
  const { store, stats, delivery, keep } = pendingWrites()
  const snapshot = store.backup()
  store.setBySql('k', '0')
  const { mark } = await store.mark()
  store.rewind(snapshot)
  store.setBySql('k', '1')
  keep('k', '2', { base: { kind: 'unseen', mark } })
  keep('free', '2', { base: { kind: 'unseen', mark } })
  await delivery.send()
  t.same([store.valueOf('k'), store.valueOf('free')], ['1', undefined])
  t.match(stats, { pendingSettled: 0, pendingConflicts: 2 })
})

t.test(
  'pending writes stay within the capacity, and a second write of a key takes no more room',
  async (t) => {
    const { pending, delivery, keep } = pendingWrites(1)
    t.equal(keep('a', '1'), true)
    t.equal(keep('b', '1'), false)
    t.equal(keep('a', '2'), true)
    t.equal(pending.size, 1)
    t.equal(pending.get('a')?.value, '2')
    t.equal(pending.get('b'), undefined)
    delivery.drop('a')
    t.equal(keep('b', '1'), true)
  },
)

t.test('a later write replaces the value and keeps the base and history of the first', async (t) => {
  const { pending, keep } = pendingWrites()
  keep('k', '1', { base: { kind: 'held', version: '7', value: undefined } })
  keep('k', '2', { base: { kind: 'unseen', mark: '9' }, epoch: '1-00000002' })
  t.same(pending.get('k'), {
    key: 'k',
    value: '2',
    base: { kind: 'held', version: '7', value: undefined },
    epoch,
    mayHaveHappened: false,
    outcomes: [],
  })
})

t.test('calls share the sending in progress', async (t) => {
  const { store, delivery, keep } = pendingWrites()
  keep('k', '1')
  const sending = store.hold('settle')
  const calls = [delivery.send(), delivery.send()]
  await sending.reached
  calls.push(delivery.send())
  sending.open()
  await Promise.all(calls)
  t.equal(store.statements.filter(({ operation }) => operation === 'settle').length, 1)
})

t.test('a write of a key that is being sent builds on the one being sent', async (t) => {
  for (const first of ['1', undefined]) {
    const { store, stats, pending, delivery, keep } = pendingWrites()
    keep('k', first)
    const answer = store.hold('settle', 'after')
    const sending = delivery.send()
    await answer.reached
    keep('k', '2')
    answer.open()
    await sending
    t.equal(pending.get('k')?.value, '2', 'still to be sent')
    t.equal(store.valueOf('k'), first)
    await delivery.send()
    t.equal(store.valueOf('k'), '2')
    t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 2, pendingConflicts: 0 } })
  }
})

t.test('a change by another client between two pending writes of a key stays', async (t) => {
  for (const first of ['1', undefined]) {
    const { store, stats, pending, delivery, keep } = pendingWrites()
    keep('k', first)
    const answer = store.hold('settle', 'after')
    const sending = delivery.send()
    await answer.reached
    keep('k', '2')
    store.setBySql('k', '"theirs"')
    answer.open()
    await sending
    await delivery.send()
    t.equal(store.valueOf('k'), '"theirs"')
    t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 1, pendingConflicts: 1 } })
  }
})

t.test(
  'written again while it is found to be in conflict: the later write is in conflict, too',
  async (t) => {
    const { store, pending, delivery, keep } = pendingWrites()
    store.setBySql('k', '"theirs"')
    keep('k', '1')
    const answer = store.hold('settle', 'after')
    const sending = delivery.send()
    await answer.reached
    keep('k', '2')
    answer.open()
    await sending
    t.equal(pending.get('k')?.value, '2')
    await delivery.send()
    t.equal(pending.size, 0)
    t.equal(store.valueOf('k'), '"theirs"')
  },
)

t.test('a pending write that is dropped while it is sent is not sent again', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  keep('k', '1')
  const answer = store.hold('settle', 'after')
  const sending = delivery.send()
  await answer.reached
  delivery.drop('k')
  answer.open()
  await sending
  t.equal(pending.size, 0)
})

t.test('a pending write waits for all writes of its key that are in flight', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  keep('k', '1')
  const gates = [new Gate(), new Gate()]
  const writes = gates.map((gate) => delivery.inOrder('k', () => gate.pass()))
  for (const [index, gate] of gates.entries()) {
    await delivery.send()
    t.same(store.statements, [], `${index} of two have ended`)
    gate.open()
    await writes[index]
  }
  await delivery.send()
  t.equal(store.valueOf('k'), '1')
  t.equal(pending.size, 0)
})

t.test('a pending write that the store refuses is given up and delays no other', async (t) => {
  const { store, stats, pending, delivery, keep } = pendingWrites()
  for (const key of ['a', 'bad', 'c']) keep(key, '1')
  store.refuse('bad')
  await delivery.send()
  t.same([store.valueOf('a'), store.valueOf('bad'), store.valueOf('c')], ['1', undefined, '1'])
  t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 2, pendingConflicts: 1 } })
})

t.test('a locked row delays no other pending write and is tried again', async (t) => {
  const { store, stats, pending, delivery, keep } = pendingWrites()
  for (const key of ['a', 'locked', 'c']) keep(key, '1')
  store.lock('locked')
  await delivery.send()
  t.same([store.valueOf('a'), store.valueOf('c')], ['1', '1'])
  t.equal(pending.size, 1)
  store.unlock('locked')
  await delivery.send()
  t.equal(store.valueOf('locked'), '1')
  t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 3, pendingConflicts: 0 } })
})

t.test('if the store is unavailable, the caller gets the error and all writes stay pending', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  keep('k', '1')
  store.stop()
  await t.rejects(delivery.send(), { code: 'store-unavailable' })
  t.equal(pending.size, 1)
  store.restart()
  await delivery.send()
  t.equal(store.valueOf('k'), '1')
})

t.test('if the store becomes unavailable while sending, all writes stay pending', async (t) => {
  const { store, stats, settled, pending, delivery, keep } = pendingWrites()
  keep('k', '1')
  store.fail('settle', 'store-unavailable')
  await t.rejects(delivery.send(), { code: 'store-unavailable' })
  t.match(
    { size: pending.size, stats, settled },
    { size: 1, stats: { pendingSettled: 0, pendingConflicts: 0 }, settled: { length: 0 } },
  )
})

t.test('a pending write with an unknown outcome is sent again, and nothing happens twice', async (t) => {
  for (const [moment, row] of [
    ['before', true],
    ['after', true],
    ['before', false],
    ['after', false],
  ] as const) {
    const { store, stats, pending, delivery, keep } = pendingWrites()
    if (row) store.setBySql('k', '0')
    const { mark } = await store.mark()
    keep('k', '1', { base: { kind: 'unseen', mark } })
    store.fail('settle', 'outcome-unknown', moment)
    await delivery.send()
    t.equal(pending.size, 1)
    const version = store.versionOf('k')
    await delivery.send()
    t.equal(pending.size, 0)
    if (moment === 'after') {
      t.match([store.valueOf('k'), store.versionOf('k')], ['1', version])
    } else {
      t.equal(store.valueOf('k'), row ? '1' : undefined, 'without a row the outcome is unknown')
    }
    t.match(stats, { pendingSettled: moment === 'after' || row ? 1 : 0 })
  }
})

t.test('a delete after a write with an unknown outcome is not undone', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  keep('k', '1')
  store.fail('settle', 'outcome-unknown', 'after')
  await delivery.send()
  store.deleteBySql('k')
  await delivery.send()
  t.equal(store.valueOf('k'), undefined)
  t.equal(pending.size, 0)
})

t.test('a later write after an unknown outcome is checked against both', async (t) => {
  const { store, delivery, keep } = pendingWrites()
  keep('k', '1')
  const statement = store.hold('settle')
  store.fail('settle', 'outcome-unknown', 'after')
  const sending = delivery.send()
  await statement.reached
  keep('k', '2')
  statement.open()
  await sending
  store.deleteBySql('k')
  await delivery.send()
  t.equal(store.valueOf('k'), undefined)
})

t.test('a doubt ends with the write that it concerns', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  store.setBySql('k', '0')
  const { mark } = await store.mark()
  keep('k', undefined, { base: { kind: 'unseen', mark } })
  store.fail('settle', 'outcome-unknown', 'before')
  await delivery.send()
  const answer = store.hold('settle', 'after')
  const sending = delivery.send()
  await answer.reached
  keep('k', '2')
  answer.open()
  await sending
  t.match(pending.get('k'), { value: '2', mayHaveHappened: false })
  await delivery.send()
  t.equal(store.valueOf('k'), '2', 'inserted after our own delete')
})

t.test('many pending writes are sent in several statements', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites(1_200)
  for (let n = 0; n < 1_200; n++) keep(`k${n}`, String(n))
  await delivery.send()
  t.same(
    store.statements.filter(({ operation }) => operation === 'settle').map(({ keys }) => keys.length),
    [500, 500, 200],
  )
  t.equal(pending.size, 0)
  t.equal(store.valueOf('k1199'), '1199')
})

t.test('statements that take too long are followed by smaller ones, until they are in time', async (t) => {
  const { store, delivery, keep } = pendingWrites(600)
  const sizesOf = async () => {
    const before = store.statements.length
    await delivery.send()
    return store.statements
      .slice(before)
      .filter(({ operation }) => operation === 'settle')
      .map(({ keys }) => keys.length)
  }
  const keepMany = (value: string) => {
    for (let n = 0; n < 600; n++) keep(`k${n}`, value)
  }
  keepMany('1')
  t.same(await sizesOf(), [500, 100])
  keepMany('2')
  for (let n = 0; n < 10_000; n++) store.fail('settle', 'store-busy')
  t.equal((await sizesOf())[0], 500)
  t.equal((await sizesOf())[0], 125)
  store.clearObstacles()
  t.same(await sizesOf(), [...Array(19).fill(31), 600 - 19 * 31])
  keepMany('3')
  t.same(await sizesOf(), [500, 100])
})

// --- The link breaks while they are sent ---

t.test('a commit whose answer was lost is settled as committed', async (t) => {
  const { store, stats, settled, pending, delivery, keep } = pendingWrites()
  const version = store.setBySql('gone', '0')
  keep('k', '1')
  keep('gone', undefined, {
    base: { kind: 'held', version, value: undefined, fingerprint: store.now().fingerprint },
  })
  store.fail('settle', 'outcome-unknown', 'after')
  await delivery.send()
  t.match(
    { size: pending.size, obstacle: delivery.obstacle, settled },
    { size: 2, obstacle: 'outcome-unknown', settled: { length: 0 } },
  )
  await delivery.send()
  t.same(settled, [
    ['k', { version: store.versionOf('k'), epoch }],
    ['gone', undefined],
  ])
  t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 2, pendingConflicts: 0 } })
})

t.test('writes whose commit did not happen are sent again, new keys too', async (t) => {
  const { store, stats, pending, delivery, keep } = pendingWrites()
  keep('k', '1')
  const settle = store.settle.bind(store)
  store.settle = async (_writes, onBegun) => {
    store.settle = settle
    onBegun?.({ id: 'one that was rolled back', epoch })
    throw new CacheError('outcome-unknown', 'lost')
  }
  await delivery.send()
  t.equal(store.valueOf('k'), undefined)
  await delivery.send()
  t.equal(store.valueOf('k'), '1')
  t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 1, pendingConflicts: 0 } })
})

t.test('writes of a transaction in progress wait while others are sent', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  keep('k', '1')
  store.fail('settle', 'outcome-unknown', 'after')
  await delivery.send()
  const { outcomeOf } = store
  store.outcomeOf = async () => 'in-progress'
  keep('other', '2')
  await delivery.send()
  t.match(
    { size: pending.size, obstacle: delivery.obstacle, other: store.valueOf('other') },
    { size: 1, obstacle: 'outcome-unknown', other: '2' },
  )
  store.outcomeOf = outcomeOf
  await delivery.send()
  t.equal(pending.size, 0)
})

t.test('a direct write ends the doubt about a pending one of its key', async (t) => {
  const { store, stats, pending, delivery, keep } = pendingWrites()
  keep('k', '1')
  store.fail('settle', 'outcome-unknown', 'after')
  await delivery.send()
  delivery.drop('k')
  store.outcomeOf = async () => 'in-progress'
  keep('k', '2', {
    base: {
      kind: 'held',
      version: store.setBySql('k', '0'),
      value: undefined,
      fingerprint: store.now().fingerprint,
    },
  })
  await delivery.send()
  t.equal(store.valueOf('k'), '2', 'it does not wait for the transaction of the first one')
  t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 1, pendingConflicts: 0 } })
})

t.test('in another history the transaction id means nothing, and no row is restored', async (t) => {
  const { store, stats, delivery, keep } = pendingWrites()
  keep('k', '1')
  const settle = store.settle.bind(store)
  store.settle = async (_writes, onBegun) => {
    store.settle = settle
    onBegun?.({ id: '1', epoch: 'another' })
    throw new CacheError('outcome-unknown', 'lost')
  }
  await delivery.send()
  await delivery.send()
  t.equal(store.valueOf('k'), undefined)
  t.match(stats, { pendingSettled: 0, pendingConflicts: 1 })
})

t.test('a later write of a key builds on one with an unknown outcome', async (t) => {
  const { store, stats, pending, delivery, keep } = pendingWrites()
  keep('k', '1')
  store.fail('settle', 'outcome-unknown', 'after')
  await delivery.send()
  keep('k', '2')
  await delivery.send()
  await delivery.send()
  t.equal(store.valueOf('k'), '2')
  t.match({ size: pending.size, stats }, { size: 0, stats: { pendingSettled: 2, pendingConflicts: 0 } })
})

// --- A write that went the usual way, with an unknown outcome, and then one that is pending ---

for (const [what, happens] of [
  ['happened', true],
  ['did not happen', false],
] as const) {
  t.test(`after a set that ${what}, a pending set is sent`, async (t) => {
    const { store, stats, pending, delivery, keep } = pendingWrites()
    const version = store.setBySql('k', '0')
    pending.sentInVain('k', { value: '1', base: { kind: 'held', version, value: '0' }, epoch })
    if (happens) store.setBySql('k', '1')
    keep('k', '2')
    await delivery.send()
    t.equal(store.valueOf('k'), '2')
    t.match(stats, { pendingSettled: 1, pendingConflicts: 0 })
  })

  t.test(`after a delete that ${what}, a pending set is sent`, async (t) => {
    const { store, stats, pending, delivery, keep } = pendingWrites()
    const version = store.setBySql('k', '0')
    pending.sentInVain('k', { value: undefined, base: { kind: 'held', version, value: '0' }, epoch })
    if (happens) store.deleteBySql('k')
    keep('k', '2')
    await delivery.send()
    t.equal(store.valueOf('k'), '2')
    t.match(stats, { pendingSettled: 1, pendingConflicts: 0 })
  })
}

t.test('a write by another client after a set with an unknown outcome stays', async (t) => {
  const { store, stats, pending, delivery, keep } = pendingWrites()
  const version = store.setBySql('k', '0')
  pending.sentInVain('k', { value: '1', base: { kind: 'held', version, value: '0' }, epoch })
  store.setBySql('k', 'theirs')
  keep('k', '2')
  await delivery.send()
  t.equal(store.valueOf('k'), 'theirs')
  t.match(stats, { pendingSettled: 0, pendingConflicts: 1 })
})

t.test('the row of a later write is not mistaken for that of an earlier pending one', async (t) => {
  const { store, stats, pending, delivery, keep } = pendingWrites()
  const version = store.setBySql('k', '0')
  keep('k', '1', { base: { kind: 'held', version, value: '0' } })
  pending.sentInVain('k', { value: '2', base: unseen, epoch })
  store.setBySql('k', '2')
  await delivery.send()
  t.equal(store.valueOf('k'), '2')
  t.match(stats, { pendingSettled: 0, pendingConflicts: 1 })
})

t.test('an entry cached since then is the better base', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  pending.sentInVain('k', { value: '1', base: unseen, epoch })
  const version = store.setBySql('k', 'theirs')
  keep('k', '2', { base: { kind: 'held', version, value: 'theirs' } })
  await delivery.send()
  t.equal(store.valueOf('k'), '2')
})

t.test('after a set of a new key, the base is still that there is no row', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  pending.sentInVain('k', { value: '1', base: unseen, epoch })
  keep('k', '2')
  await delivery.send()
  t.equal(store.valueOf('k'), '2')
})

t.test('pending writes stay within their limit in bytes', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites(1_000, 10_500)
  store.stop()
  const large = 'x'.repeat(3_000)
  t.same(
    ['a', 'b', 'c', 'd'].map((key) => keep(key, large)),
    [true, true, true, false],
  )
  t.equal(pending.size, 3)
  t.ok(pending.bytes <= 10_500)
  t.equal(keep('a', large.repeat(2)), false, 'nor does a later write of the same key take more')
  t.equal(pending.get('a')?.value, large)
  t.equal(keep('a', 'x'), true, 'one that takes less is pending')
  t.equal(keep('d', large), true)
  delivery.drop('b')
  t.equal(keep('e', 'é'.repeat(1_500)), true, 'what is not ASCII takes two bytes a character')
  t.equal(keep('f', 'é'.repeat(1_500)), false)
  t.equal(keep('g', '1', { base: { kind: 'held', version: '1', value: large } }), false, 'its base counts')
  store.restart()
  await delivery.send()
  t.match(pending, { size: 0, bytes: 0 })
})

t.test('pending writes are sent in statements of at most 8 MiB', async (t) => {
  const { store, delivery, keep } = pendingWrites(100, 100_000_000)
  for (let n = 0; n < 20; n++) keep(`k${n}`, 'x'.repeat(1_000_000))
  await delivery.send()
  t.same(
    store.statements.filter(({ operation }) => operation === 'settle').map(({ keys }) => keys.length),
    [8, 8, 4],
  )
})

t.test(
  'values of writes with an unknown outcome are remembered within the same number of bytes',
  async (t) => {
    const { store, pending, keep } = pendingWrites(10, 10_000)
    const version = store.setBySql('a', '0')
    const held: Base = { kind: 'held', version, value: '0' }
    const large = 'x'.repeat(6_000)
    pending.sentInVain('a', { value: '1', base: held, epoch })
    pending.sentInVain('b', { value: large, base: unseen, epoch })
    pending.sentInVain('c', { value: large, base: unseen, epoch })
    keep('a', '2')
    t.same(pending.get('a')?.outcomes, [], 'forgotten')
    keep('c', '2')
    t.same(pending.get('c')?.outcomes, [{ value: large }])
  },
)

t.test('the last 16 writes of unknown outcome are remembered', async (t) => {
  const { pending, keep } = pendingWrites()
  const values = Array.from({ length: 20 }, (_, index) => String(index))
  for (const value of values)
    pending.sentInVain('k', { value, mediaType: undefined, base: unseen, epoch, expiresAtMs: undefined })
  keep('k', 'later')
  t.strictSame(
    pending.get('k')?.outcomes.map((outcome) => outcome?.value),
    values.slice(-16),
  )
})
