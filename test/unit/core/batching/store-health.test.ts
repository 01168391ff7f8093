import t from 'tap'
import { StoreHealth } from '../../../../src/core/batching/store-health.js'
import { CacheError, type CacheErrorCode } from '../../../../src/core/errors.js'

const failed = (code: CacheErrorCode) => [{ status: 'rejected', reason: new CacheError(code, 'no') }] as const
const done = [{ status: 'fulfilled', value: undefined }] as const

t.test('three failures of a kind in a row are a fault until one succeeds', async (t) => {
  const health = new StoreHealth()
  health.observe('read', failed('store-unavailable'), 0)
  health.observe('read', failed('store-unavailable'), 1)
  t.same(health.faults(1), [])
  health.observe('read', failed('login-refused'), 2)
  t.same(health.faults(2), [{ operation: 'read', code: 'login-refused' }])
  health.observe('write', done, 3)
  t.same(health.faults(3), [{ operation: 'read', code: 'login-refused' }])
  health.observe('read', done, 4)
  t.same(health.faults(4), [])
})

t.test('a locked row starts no fault, but goes on with one', async (t) => {
  const health = new StoreHealth()
  for (let count = 0; count < 5; count++) health.observe('write', failed('row-locked'), count)
  t.same(health.faults(5), [])
  health.observe('write', failed('outcome-unknown'), 6)
  for (let count = 7; count < 9; count++) health.observe('write', failed('row-locked'), count)
  t.same(health.faults(9), [{ operation: 'write', code: 'outcome-unknown' }])
})

t.test('the refusal of one row says nothing about the store', async (t) => {
  const health = new StoreHealth()
  for (let count = 0; count < 5; count++) {
    health.observe('write', failed('refused'), count)
    health.observe('remove', [...failed('store-failed'), ...done], count)
  }
  t.same(health.faults(5), [])
})

t.test('a fault without recent failures is no longer reported', async (t) => {
  const health = new StoreHealth()
  for (let count = 0; count < 3; count++) health.observe('write', failed('outcome-unknown'), 0)
  t.equal(health.faults(15_000).length, 1)
  t.equal(health.faults(15_001).length, 0)
})

t.test('every error of the store counts, and a failure again makes a fault recent', async (t) => {
  const codes = [
    'store-unavailable',
    'login-refused',
    'store-suspended',
    'store-not-ready',
    'store-busy',
    'store-failed',
    'store-locked',
    'queue-full',
    'outcome-unknown',
    'forbidden',
  ] as const
  for (const code of codes) {
    const health = new StoreHealth()
    for (const nowMs of [0, 1, 10_000]) health.observe('write', failed(code), nowMs)
    t.same(health.faults(25_000), [{ operation: 'write', code }])
  }
})

t.test('a batch without results, and an error of our own, say nothing about the store', async (t) => {
  const health = new StoreHealth()
  for (const nowMs of [0, 1]) health.observe('read', failed('store-busy'), nowMs)
  health.observe('read', [], 2)
  t.same(health.faults(2), [], 'it is no failure')
  health.observe('read', failed('store-busy'), 3)
  health.observe('read', [], 4)
  t.equal(health.faults(4).length, 1, 'nor a success')
  const mistakes = new StoreHealth()
  for (const nowMs of [0, 1, 2])
    mistakes.observe('read', [{ status: 'rejected', reason: new Error('a mistake') }], nowMs)
  t.same(mistakes.faults(2), [])
})

t.test('a write outside of the batches ends the faults of its kind only', async (t) => {
  const health = new StoreHealth()
  for (const operation of ['read', 'write'] as const)
    for (const nowMs of [0, 1, 2]) health.observe(operation, failed('store-busy'), nowMs)
  health.succeeded('write')
  t.same(health.faults(2), [{ operation: 'read', code: 'store-busy' }])
})
