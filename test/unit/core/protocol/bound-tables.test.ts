/** P16: bindings that change under a live sidecar. */
import t from 'tap'
import { type Binding, noBindings } from '../../../../src/core/bindings/bindings.js'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { liveSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

const binding = (text: string, fingerprint = 'f'): Binding => ({
  pattern: new KeyPattern(text),
  fingerprint,
  viaOutbox: false,
})
const ofItems = binding('item:{id}')
const bindings = { ...noBindings, of: (key: string) => (ofItems.pattern.covers(key) ? ofItems : undefined) }

t.test('what is held of the keys of a changed binding is dropped, and nothing else', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('item:1', '1')
  store.setBySql('other:1', '1')
  const holdAll = async () => {
    for (const key of ['item:1', 'item:2', 'other:1', 'other:2']) await cache.get(key)
  }
  const heldKeys = () =>
    ['item:1', 'item:2', 'other:1', 'other:2'].filter((key) => cache.recall(key, {}) !== undefined)
  await holdAll()
  cache.bound([ofItems])
  t.same(heldKeys(), ['other:1', 'other:2'], 'a new binding')
  await holdAll()
  cache.bound([ofItems])
  t.same(heldKeys(), ['item:1', 'item:2', 'other:1', 'other:2'], 'the same binding')
  cache.bound([binding('item:{id}', 'another')])
  t.same(heldKeys(), ['other:1', 'other:2'], 'another fingerprint')
  await holdAll()
  cache.bound([])
  t.same(heldKeys(), ['other:1', 'other:2'], 'no binding any more')
})

t.test('a fill that began before does not put its result', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('item:1', '1')
  for (const key of ['item:1', 'item:2']) {
    const gate = store.hold('read', 'after')
    const reading = cache.get(key)
    await gate.reached
    cache.bound([binding('item:{id}', key)])
    gate.open()
    await reading
    t.equal(cache.recall(key, {}), undefined, key)
  }
})

t.test('a read that comes afterwards does not join a fill that began before', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('item:1', '"before"')
  const gate = store.hold('read', 'after')
  const reading = cache.get('item:1')
  await gate.reached
  cache.bound([ofItems])
  store.setBySql('item:1', '"after"')
  t.equal((await cache.get('item:1')).value, '"after"')
  gate.open()
  t.equal((await reading).value, '"before"')
})

t.test('a pending write of a key that is bound now is given up', async (t) => {
  const { store, feed, clock, cache, logged } = await liveSidecar()
  store.stop()
  feed.lose()
  clock.advance(maxStalenessMs + 1)
  await cache.set('item:1', '"kept"')
  await cache.set('other:1', '"kept"')
  t.equal(cache.status().pendingWrites, 2)
  cache.bound([ofItems])
  t.match(cache.status(), { pendingWrites: 1, stats: { pendingConflicts: 1 } })
  t.match(logged.at(-1), { message: 'a pending write was given up', fields: { reason: /by item:\{id\}/ } })
  store.restart()
  await feed.connect()
  await turn()
  t.equal((await cache.get('item:1')).value, undefined)
})

t.test('writes of bound keys are refused, also in an outage, and those of other keys are not', async (t) => {
  const { store, feed, clock, cache } = await liveSidecar({}, { bindings })
  const refuse = async (how: string) => {
    const refused = { code: 'bound-key', key: 'item:1' }
    await t.rejects(cache.set('item:1', '1'), refused, `set ${how}`)
    await t.rejects(cache.delete('item:1'), refused, `delete ${how}`)
    await cache.set('other:1', '1')
  }
  await refuse('while the database is there')
  t.same(
    store.statements.filter(({ operation }) => operation === 'write').length,
    1,
    'nothing of a bound key is sent',
  )
  store.stop()
  feed.lose()
  clock.advance(maxStalenessMs + 1)
  await refuse('in an outage')
  t.equal(cache.status().pendingWrites, 1)
})

t.test('bound keys are read from the primary, even if a replica may be asked', async (t) => {
  const { store, feed, clock, cache } = await liveSidecar(
    { negativeCapacity: 0 },
    { bindings, withReplica: true },
  )
  for (const key of ['item:1', 'other:1']) store.setBySql(key, '1')
  feed.deliver()
  store.replicaReplays()
  for (let probes = 0; probes < 3; probes++) {
    clock.advance(1_000)
    feed.probe()()
    await cache.get('nothing')
    await turn()
  }
  const operationsFor = async (key: string) => {
    const before = store.statements.length
    await cache.get(key)
    return store.statements.slice(before).map(({ operation }) => operation)
  }
  t.same(await operationsFor('other:1'), ['replica read'])
  t.same(await operationsFor('item:1'), ['read'])
})
