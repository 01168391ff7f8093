import t from 'tap'
import { CacheError } from '../../../../src/core/errors.js'
import { epoch, pendingWrites, unseen } from '../../../support/pending-writes.js'
import { turn } from '../../../support/turn.js'

t.test('an obstacle is reported as long as a write is pending', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  store.lock('k')
  keep('k', '1')
  t.equal(delivery.obstacle, undefined)
  await delivery.send()
  t.equal(delivery.obstacle, 'row-locked')
  delivery.drop('k')
  t.equal(pending.size, 0)
  t.equal(delivery.obstacle, undefined)
})

t.test('a statement with pending writes takes at most a quarter of their memory', async (t) => {
  const { store, delivery, keep } = pendingWrites(100, 8_000)
  for (const key of ['a', 'b', 'c', 'd', 'e']) t.ok(keep(key, 'x'.repeat(700)))
  await delivery.send()
  t.same(
    store.statements.filter(({ operation }) => operation === 'settle').map(({ keys }) => keys),
    [['a', 'b'], ['c', 'd'], ['e']],
  )
})

t.test(
  'nothing is sent at a contact for a while after the database has answered with an error',
  async (t) => {
    const { clock, store, delivery, keep } = pendingWrites()
    const settles = () => store.statements.filter(({ operation }) => operation === 'settle').length
    store.lock('k')
    keep('k', '1')
    await delivery.send()
    const before = settles()
    delivery.inContact()
    await turn()
    t.equal(settles(), before)
    clock.advance(1_000)
    store.unlock('k')
    delivery.inContact()
    await delivery.send()
    t.equal(settles(), before + 1)
    t.equal(store.valueOf('k'), '1')
  },
)

t.test('an attempt at a contact that fails is logged', async (t) => {
  const { store, logged, delivery, keep } = pendingWrites()
  keep('k', '1')
  store.stop()
  delivery.inContact()
  await t.rejects(delivery.send(), { code: 'store-unavailable' })
  t.match(logged, [
    { level: 'warn', fields: { err: CacheError }, message: 'pending writes could not be sent yet' },
  ])
})

t.test('a write that is to follow the pending one of its key fails if that cannot be sent', async (t) => {
  const { store, delivery, keep } = pendingWrites()
  keep('k', '1')
  await delivery.finish('another')
  t.strictSame(store.statements, [], 'another key has nothing to finish')
  store.lock('k')
  await t.rejects(delivery.finish('k'), {
    code: 'store-unavailable',
    message: 'a pending write of the key has not been sent yet',
  })
  store.unlock('k')
  await delivery.finish('k')
  t.equal(store.valueOf('k'), '1')
})

t.test('a refused write is given up with the reason of the database', async (t) => {
  const { store, logged, delivery, keep } = pendingWrites()
  store.refuse('k')
  keep('k', '1')
  await delivery.send()
  t.match(logged, [{ fields: { reason: 'not this data' }, message: 'a pending write was given up' }])
})

t.test('locked rows are found by asking for the locks, and not by halving', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  for (const key of ['a', 'b', 'c', 'd', 'locked', 'e', 'f', 'g']) keep(key, '1')
  store.lock('locked')
  await delivery.send()
  t.equal(pending.size, 1)
  t.same(
    store.statements.map(({ operation, keys }) => [operation, keys.length]),
    [
      ['settle', 8],
      ['settle', 7],
    ],
  )
})

t.test('a direct write is sent after an attempt that has left the pending write of its key', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  store.lock('k')
  keep('k', '1')
  await delivery.send()
  t.equal(pending.size, 1)
  t.equal(await delivery.inOrder('k', async () => 'sent'), 'sent')
})

t.test(
  'in another history, pending writes in doubt may have happened, and nobody asks for them',
  async (t) => {
    const { store, pending, delivery, keep } = pendingWrites()
    store.fail('settle', 'outcome-unknown', 'after')
    keep('k', '1')
    await delivery.send()
    pending.sentInVain('other', {
      value: '1',
      mediaType: undefined,
      base: unseen,
      epoch,
      expiresAtMs: undefined,
    })
    t.equal(pending.get('k')?.mayHaveHappened, false, 'the transaction tells')
    delivery.historyChanged()
    t.equal(pending.get('k')?.mayHaveHappened, true)
    t.equal(pending.unknownBytes, 0)
    await delivery.send()
    t.notOk(store.statements.some(({ operation }) => operation === 'outcome'))
  },
)

t.test('a direct write is sent after an attempt that fails as well', async (t) => {
  const { store, delivery, keep } = pendingWrites()
  keep('k', '1')
  const answer = store.hold('settle')
  const sending = t.rejects(delivery.send(), { code: 'store-unavailable' })
  await answer.reached
  const writing = delivery.inOrder('k', async () => 'sent')
  store.stop()
  answer.open()
  await sending
  t.equal(await writing, 'sent')
})

t.test('the rows that are not locked are looked for within two seconds', async (t) => {
  for (const [tookMs, parts] of [
    [1_999, 3],
    [2_000, 1],
  ] as const) {
    const { clock, store, pending, delivery, keep } = pendingWrites()
    for (const key of ['a', 'b']) keep(key, '1')
    store.refuse('a')
    const answer = store.hold('settle')
    const sending = delivery.send()
    await answer.reached
    clock.advance(tookMs)
    answer.open()
    await sending
    t.equal(store.statements.length, parts, `after ${tookMs} ms`)
    t.equal(pending.size, parts === 1 ? 2 : 0)
  }
})

t.test('a transaction in progress does not delay the outcome of another one', async (t) => {
  const { store, pending, delivery, keep } = pendingWrites()
  for (const key of ['a', 'b']) {
    keep(key, '1')
    store.outcomeOf = async () => 'in-progress'
    store.fail('settle', 'outcome-unknown', 'after')
    await delivery.send()
  }
  t.equal(pending.size, 2)
  store.outcomeOf = async (_, writes) =>
    writes.some(({ key }) => key === 'a')
      ? 'in-progress'
      : { settlements: new Map([['b', { kind: 'written', written: undefined }]]) }
  await delivery.send()
  t.strictSame(
    [...pending].map(([id]) => id),
    ['a'],
  )
})
