/** Tests of direct writes: their statements, and their use of the store's answers. */
import t from 'tap'
import type { ConditionalWrite, Write } from '../../../../src/core/ports.js'
import { liveSidecar, type ModelSidecar } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

/** Records the writes that reach the store. */
function sentTo({ store }: ModelSidecar) {
  const sent: (Write | ConditionalWrite)[] = []
  const [write, writeIf] = [store.write.bind(store), store.writeIf.bind(store)]
  store.write = (writes) => {
    sent.push(...writes)
    return write(writes)
  }
  store.writeIf = (one) => {
    sent.push(one)
    return writeIf(one)
  }
  return sent
}

t.test('the time to live and the groups of a write reach the store', async (t) => {
  const sidecar = await liveSidecar()
  const sent = sentTo(sidecar)
  const options = { ttlMs: 5_000, groups: ['a', 'b'] }
  await sidecar.cache.set('k', '1', options)
  await sidecar.cache.change('k', { value: '2' }, options)
  t.match(sent, [
    { key: 'k', value: '1', ...options },
    { key: 'k', value: '2', ...options },
  ])
})

t.test('a changed entry that is kept in an outage expires when its time to live ends', async (t) => {
  const { store, clock, cache } = await liveSidecar()
  store.stop()
  t.match(await cache.change('k', { value: '1' }, { ttlMs: 500 }), { kind: 'kept' })
  t.match(await cache.get('k'), { value: '1', stale: 'kept', expiresInMs: 500 })
  clock.advance(500)
  t.match(await cache.get('k'), { value: undefined, stale: 'kept' })
})

t.test('a write with a lease is not kept, because its caller has to know the outcome', async (t) => {
  const { store, cache } = await liveSidecar()
  store.stop()
  await t.rejects(cache.change('k', { value: '1' }, { lease: 'lease' }), { code: 'store-unavailable' })
  t.equal(cache.status().pendingWrites, 0)
})

t.test('a delete that a trigger has prevented is an error, and nothing is held', async (t) => {
  const { store, cache } = await liveSidecar()
  await cache.set('k', '1')
  store.remove = async (keys) =>
    new Map(keys.map((key) => [key, { version: undefined, epoch: store.now().epoch, isLeftIn: true }]))
  await t.rejects(cache.delete('k'), { code: 'not-stored' })
  t.equal(cache.isHeld('k'), false)
})

t.test('a refused value is counted, and those who wait for it learn of it', async (t) => {
  const { store, cache } = await liveSidecar()
  const answer = { epoch: store.now().epoch, before: undefined, isMet: false, written: undefined }
  store.writeIf = async () => ({ ...answer, refusal: 'no-lease' })
  t.strictSame(await cache.change('k', { value: '1' }, { lease: 'lease' }), {
    kind: 'unmet',
    refusal: 'no-lease',
  })
  t.equal(cache.status().fillLeases.refused, 1)
  store.writeIf = async () => ({ ...answer, isMet: true })
  await t.rejects(cache.change('k', { value: '1' }, { lease: 'lease' }), { code: 'not-stored' })
  t.equal(cache.status().fillLeases.refused, 2)
  await t.rejects(cache.change('k', { value: '1' }), { code: 'not-stored' })
  t.equal(cache.status().fillLeases.refused, 2, 'there was no lease')
})

t.test('every answer to a write sends what is pending', async (t) => {
  const answered: readonly ((sidecar: ModelSidecar) => Promise<unknown>)[] = [
    ({ cache }) => cache.set('k', '1'),
    ({ cache }) => cache.change('k', { value: '1' }),
    ({ cache }) => cache.change('k', { value: '1' }, { condition: { match: '*' } }),
  ]
  for (const write of answered) {
    const sidecar = await liveSidecar()
    const { store, cache } = sidecar
    store.stop()
    await cache.set('pending', '1')
    store.restart()
    await write(sidecar)
    await turn()
    t.equal(store.valueOf('pending'), '1')
    t.equal(cache.status().pendingWrites, 0)
  }
})

t.test('a direct write takes the place of the pending one of its key', async (t) => {
  const { store, cache } = await liveSidecar()
  store.stop()
  await cache.set('k', '"pending"')
  store.restart()
  await cache.set('k', '"direct"')
  await turn()
  t.equal(cache.status().pendingWrites, 0)
  t.equal(store.valueOf('k'), '"direct"')
  t.notOk(store.statements.some(({ operation }) => operation === 'settle'))
})

t.test('a change without a condition is sent after the pending write of its key in flight', async (t) => {
  const { store, cache } = await liveSidecar()
  store.fail('write', 'store-unavailable')
  await cache.set('k', '"pending"')
  const settling = store.hold('settle', 'before')
  await cache.get('another')
  await settling.reached
  const changing = cache.change('k', { value: '"changed"' })
  await turn()
  settling.open()
  t.match(await changing, { kind: 'written', existed: true })
  t.equal(store.valueOf('k'), '"changed"')
})
