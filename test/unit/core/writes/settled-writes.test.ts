/** Traces of a pending write that has been sent. */
import t from 'tap'
import type { PendingWrite } from '../../../../src/core/entry.js'
import { liveSidecar } from '../../../support/model-sidecar.js'
import { epoch, pendingWrites } from '../../../support/pending-writes.js'
import { turn } from '../../../support/turn.js'

/** Sends a write of `k`, and keeps a later one while it is in flight. Returns the later one. */
async function keptMeanwhile(value: string | undefined, more: Partial<PendingWrite> = {}) {
  const model = pendingWrites()
  const { store, pending, delivery, keep } = model
  keep('k', value, more)
  const answer = store.hold('settle', 'after')
  const sending = delivery.send()
  await answer.reached
  keep('k', '"later"')
  answer.open()
  await sending
  return { ...model, later: pending.get('k') }
}

t.test('a later write of the key expects the row that the first one has left', async (t) => {
  const expiresAtMs = 2_000_000
  const { store, later, settled } = await keptMeanwhile('1', { epoch: undefined, expiresAtMs })
  const version = store.versionOf('k')
  t.strictSame(later?.base, {
    kind: 'held',
    version,
    value: undefined,
    fingerprint: store.now().fingerprint,
    expiresAtMs,
  })
  t.equal(later?.epoch, epoch, 'in the history of that row')
  t.strictSame(settled, [['k', { version, epoch, expiresAtMs }]])
})

t.test('a later write of the key expects no row after a delete', async (t) => {
  const { store, later, delivery, stats } = await keptMeanwhile(undefined, {
    base: { kind: 'unseen', mark: 'a mark' },
  })
  t.strictSame(later?.base, { kind: 'unseen', mark: undefined })
  t.equal(later?.epoch, epoch)
  store.setBySql('k', '"theirs"')
  await delivery.send()
  t.equal(store.valueOf('k'), '"theirs"')
  t.match(stats, { pendingSettled: 1, pendingConflicts: 1 })
})

t.test('a pending write that is stored ends the report that writes fail', async (t) => {
  for (const [kept, faults] of [
    ['a set', []],
    ['a delete', [{ operation: 'write', code: 'store-unavailable' }]],
  ] as const) {
    const { store, clock, cache } = await liveSidecar()
    store.setBySql('k', '1')
    await cache.get('k')
    store.stop()
    for (let count = 0; count < 3; count++) await cache.set('other', '1')
    t.equal(cache.status().faults.length, 1)
    store.restart()
    store.lock('other')
    store.fail('remove', 'store-unavailable')
    store.fail('write', 'store-unavailable')
    await (kept === 'a set' ? cache.set('k', '2') : cache.delete('k'))
    clock.advance(1_000)
    await cache.close()
    await turn()
    t.equal(store.valueOf('k'), kept === 'a set' ? '2' : undefined)
    t.strictSame(cache.status().faults, faults, kept)
  }
})
