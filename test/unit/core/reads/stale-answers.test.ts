/** Reads that memory answers because the store does not. */
import t from 'tap'
import type { CacheErrorCode } from '../../../../src/core/errors.js'
import { liveSidecar, maxStalenessMs, ttlMs } from '../../../support/model-sidecar.js'

const ofTheStore = [
  'store-unavailable',
  'login-refused',
  'store-suspended',
  'store-not-ready',
  'store-busy',
  'store-failed',
] satisfies CacheErrorCode[]

/** A sidecar that holds `k`, and whose lease has run out. */
async function unprovenSidecar() {
  const sidecar = await liveSidecar()
  sidecar.store.setBySql('k', '1')
  await sidecar.cache.get('k')
  sidecar.clock.advance(maxStalenessMs + 1)
  return sidecar
}

t.test('an entry is served as stale after every error that says nothing about it', async (t) => {
  for (const code of ofTheStore) {
    const { store, cache } = await unprovenSidecar()
    store.fail('read', code)
    t.match(await cache.get('k'), { value: '1', stale: 'unproven' }, code)
  }
})

t.test('an entry is served as stale if a lock is held until the request is late', async (t) => {
  for (const code of ['row-locked', 'store-locked'] as const) {
    const { store, clock, cache } = await unprovenSidecar()
    const read = store.hold('read')
    store.fail('read', code, 'after')
    const reading = cache.get('k')
    await read.reached
    clock.advance(2_000)
    read.open()
    t.match(await reading, { value: '1', stale: 'unproven' }, code)
  }
})

t.test('errors of the data go to the reader, and so do those of a strong read', async (t) => {
  for (const code of ['forbidden', 'refused', 'too-large', 'binding-unusable'] as const) {
    const { store, cache } = await unprovenSidecar()
    store.fail('read', code)
    await t.rejects(cache.get('k'), { code })
  }
  const { store, cache } = await unprovenSidecar()
  store.fail('read', 'store-failed')
  await t.rejects(cache.get('k', { strong: true }), { code: 'store-failed' })
})

t.test('an entry has expired at the end of its time to live, and counts as such', async (t) => {
  const { store, clock, cache } = await unprovenSidecar()
  clock.advance(ttlMs - maxStalenessMs - 1)
  store.fail('read', 'store-unavailable')
  await t.rejects(cache.get('k'), { code: 'store-unavailable' })
  t.match(cache.status().stats, { missesExpired: 1, missesUnproven: 0, staleServed: 0 })
})
