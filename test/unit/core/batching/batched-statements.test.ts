/** The statements of `BatchedStore`, each kind over a store that a test scripts. */
import t from 'tap'
import { BatchedStore } from '../../../../src/core/batching/batched-store.js'
import { Semaphore } from '../../../../src/core/batching/semaphore.js'
import { noBindings } from '../../../../src/core/bindings/bindings.js'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { CacheError } from '../../../../src/core/errors.js'
import type { Store } from '../../../../src/core/ports.js'
import { Stats } from '../../../../src/core/stats.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { Gate } from '../../../support/gate.js'
import { liveSidecar } from '../../../support/model-sidecar.js'

const epoch = '1-00000001'
const written = { version: '1', epoch, remainingMs: undefined, isAsSent: true }

function batchedStore(store: Partial<Store>, { maxStatements = 2, bindings = noBindings } = {}) {
  const stats = new Stats()
  const clock = new DrivenClock()
  const options = { maxStatements, maxWaitMs: 1_000, tracer: undefined, valueSlots: new Semaphore(9) }
  const statements = new BatchedStore({ ...options, store: store as Store, bindings, stats, clock })
  return { statements, stats, clock }
}

t.test('with a single connection, a write still waits for a lock of another client', async (t) => {
  const { store, cache } = await liveSidecar({ maxStatements: 1 })
  store.lock('k')
  const write = store.write.bind(store)
  let attempts = 0
  store.write = (writes) => {
    if (++attempts === 2) store.unlock('k')
    return write(writes)
  }
  t.match(await cache.set('k', '1'), { written: true })
})

t.test('half of the connections wait for locks, and the others are left to other writes', async (t) => {
  const lock = new Gate()
  let waiting = 0
  const { statements } = batchedStore(
    {
      lockedOf: async (keys) => new Set(keys.filter((key) => key.startsWith('locked'))),
      write: async (writes) => {
        if (writes.some(({ key }) => key.startsWith('locked'))) {
          if (writes.length > 1) throw new CacheError('row-locked', 'a lock')
          waiting++
          await lock.pass()
        }
        return new Map(writes.map(({ key }) => [key, written]))
      },
    },
    { maxStatements: 4 },
  )
  const add = (key: string) => statements.write.add({ key, value: '1' })
  const locked = [1, 2, 3, 4].map((number) => add(`locked ${number}`))
  await add('free')
  await add('another')
  t.equal(waiting, 2)
  lock.open()
  await Promise.all(locked)
  t.equal(waiting, 4)
})

t.test('keys of different bindings are read in different statements', async (t) => {
  const binding = (text: string) => ({ pattern: new KeyPattern(text), fingerprint: 'f', viaOutbox: false })
  const all = [binding('a:{id}'), binding('b:{id}')]
  const bindings = { ...noBindings, of: (key: string) => all.find(({ pattern }) => pattern.covers(key)) }
  const read: (readonly string[])[] = []
  const { statements } = batchedStore(
    {
      read: async (wanted) => {
        read.push(wanted.map(({ key }) => key))
        return new Map()
      },
    },
    { bindings },
  )
  await Promise.all(
    ['a:1', 'b:1', 'c', 'a:2', 'd'].map((key) => statements.read.add({ key, held: undefined })),
  )
  t.strictSame(read, [['a:1', 'a:2'], ['b:1'], ['c', 'd']])
})

t.test('writes with a condition count as writes, and deletes with one as deletes', async (t) => {
  for (const [value, operation, other] of [
    ['1', 'write', 'remove'],
    [undefined, 'remove', 'write'],
  ] as const) {
    const { statements, stats, clock } = batchedStore({
      writeIf: async () => {
        throw new CacheError('store-unavailable', 'no connection')
      },
    })
    for (let count = 0; count < 3; count++)
      await t.rejects(statements.writeIf({ key: 'k', value, condition: {} }), { code: 'store-unavailable' })
    t.equal(stats.batchKeys[operation].sum, 3)
    t.equal(stats.batchKeys[other].sum, 0)
    t.strictSame(statements.health.faults(clock.now()), [{ operation, code: 'store-unavailable' }])
  }
})

t.test('reads of many keys that fail are reported like other reads', async (t) => {
  const { statements, clock } = batchedStore({
    readAtOnce: async () => {
      throw new CacheError('store-unavailable', 'no connection')
    },
  })
  for (let count = 0; count < 3; count++) {
    const together = statements.together({ isOneSnapshot: true, isStopped: () => false })
    await t.rejects(together.add({ key: 'k', held: undefined }))
  }
  t.strictSame(statements.health.faults(clock.now()), [{ operation: 'read', code: 'store-unavailable' }])
})
