/** Answers to writes that the store gives in another history, after a failover that the feed has not noticed. */
import t from 'tap'
import { liveSidecar, type ModelSidecar } from '../../../support/model-sidecar.js'

const impossible = { condition: { match: '*' } } as const

const writes: Readonly<Record<string, (sidecar: ModelSidecar) => Promise<unknown>>> = {
  'a set': ({ cache }) => cache.set('k', '1'),
  'a delete of nothing': ({ cache }) => cache.delete('k'),
  'a write': ({ cache }) => cache.change('k', { value: '1' }),
  'a write that deletes nothing': ({ cache }) => cache.change('k', undefined),
  'a write whose condition does not hold': ({ cache }) => cache.change('k', { value: '1' }, impossible),
  'a batch that deletes nothing': ({ cache }) =>
    cache.writeAll([{ key: 'k', value: undefined, condition: {} }]),
  'a batch whose condition does not hold': ({ cache }) =>
    cache.writeAll([{ key: 'k', value: '1', ...impossible }]),
}

for (const [name, write] of Object.entries(writes)) {
  t.test(`an answer from another history ends the session: ${name}`, async (t) => {
    const sidecar = await liveSidecar()
    const { clock, store, cache } = sidecar
    clock.advance(1)
    store.failOver('2-00000002', store.backup())
    await write(sidecar)
    t.match(cache.status(), { feed: 'down', feedReason: 'the database answers from another history' })
  })
}
