import t from 'tap'
import { tooLargeTogether } from '../../../../src/core/batching/batched-store.js'
import { liveSidecar } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

t.test('writes that wait together are sent in statements of at most 8 MiB', async (t) => {
  const { store, cache } = await liveSidecar()
  const value = 'x'.repeat(1_000_000)
  await Promise.all(Array.from({ length: 20 }, (_, index) => cache.set(`k${index}`, value)))
  t.strictSame(
    store.statements.filter(({ operation }) => operation === 'write').map(({ keys }) => keys.length),
    [8, 8, 4],
  )
})

t.test('a locked row is found by asking for the locks, and delays no other write or delete', async (t) => {
  for (const operation of ['write', 'remove'] as const) {
    const { store, cache } = await liveSidecar()
    const keys = ['a', 'b', 'locked', 'c', 'd', 'e']
    store.lock('locked')
    const change = (key: string) => (operation === 'write' ? cache.set(key, '1') : cache.delete(key))
    const changes = keys.map((key) => ({ key, done: change(key) }))
    await Promise.all(changes.filter(({ key }) => key !== 'locked').map(({ done }) => done))
    const sent = store.statements.filter((one) => one.operation === operation)
    t.strictSame(
      sent.slice(0, 2).map((one) => one.keys.length),
      [6, 5],
      operation,
    )
    store.unlock('locked')
    await Promise.all(changes.map(({ done }) => done))
  }
})

t.test('a write, and a delete, wait for the one of their key that is in flight', async (t) => {
  for (const operation of ['write', 'remove'] as const) {
    const { store, cache } = await liveSidecar({ maxStatements: 5 })
    const held = store.hold(operation)
    const change = () => (operation === 'write' ? cache.set('k', '1') : cache.delete('k'))
    const first = change()
    await held.reached
    const second = change()
    await turn()
    t.equal(store.statements.filter((one) => one.operation === operation).length, 1, operation)
    held.open()
    await Promise.all([first, second])
  }
})

t.test('values that are too large together would be so in any order', async (t) => {
  t.match(tooLargeTogether(), { code: 'too-large-together', isOfWholeStatement: true })
})
