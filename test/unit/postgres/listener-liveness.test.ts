import t from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import type { ListenSession } from '../../../src/postgres/feed/listen-session.js'
import { ListenerLiveness } from '../../../src/postgres/feed/listener-liveness.js'
import type { Database } from '../../../src/postgres/pool/database.js'
import { Gate } from '../../support/gate.js'

/**
 * A pool that sends by `read`, and a session that receives a notification, or none, once `isHeard` resolves. An echo
 * arrives when the gate is opened.
 */
function livenessOf({ read, isHeard }: { read: () => Promise<unknown>; isHeard: () => Promise<boolean> }) {
  const reasons: unknown[] = []
  const queries: string[] = []
  const arrived = new Gate()
  const session = {
    channel: 'a channel',
    received: () => arrived.pass(),
    forget: () => undefined,
    receivesAny: isHeard,
    query: async (sql: string) => queries.push(sql),
  } as unknown as ListenSession
  const liveness = new ListenerLiveness(
    { quietMs: 10, echoTimeoutMs: 60_000 },
    {
      session,
      database: { read } as unknown as Database,
      onDeaf: (reason) => reasons.push(reason),
    },
    0,
  )
  return { liveness, reasons, queries, arrived }
}

/** By then, the sidecar owes an echo of its own. */
const dueMs = 15_000

t.test('a session that answers, and has not received an echo that was accepted, is deaf', async (t) => {
  const sent = new Gate()
  const { liveness, arrived } = livenessOf({
    read: async () => sent.open(),
    isHeard: async () => {
      await sent.pass()
      // The echo counts as accepted once the caller of `read` has continued.
      await new Promise(setImmediate)
      return false
    },
  })
  await t.rejects(liveness.confirm(dueMs), { message: /notifications do not arrive/ })
  arrived.open()
})

t.test('a pool that cannot send an echo in time says nothing about the session', async (t) => {
  const { liveness, queries } = livenessOf({ read: () => new Promise(() => {}), isHeard: async () => false })
  await liveness.confirm(dueMs)
  t.strictSame(queries, [])
})

t.test('a failure that the pool knows says nothing about the session; any other is reported', async (t) => {
  for (const [error, count] of [
    [new CacheError('store-unavailable', 'no connection'), 0],
    [new Error('a mistake'), 1],
  ] as const) {
    const { liveness, reasons } = livenessOf({
      read: () => Promise.reject(error),
      isHeard: async () => false,
    })
    await liveness.confirm(dueMs)
    await new Promise(setImmediate)
    t.equal(reasons.length, count)
  }
})

t.test('a session that has received nothing is sent an echo, although none of its own is due', async (t) => {
  t.intercept(Math, 'random', { value: () => 0.2 })
  let heard = 0
  const sent: number[] = []
  const { liveness, arrived } = livenessOf({
    read: async () => sent.push(heard),
    isHeard: async () => ++heard !== 1,
  })
  await liveness.confirm(11_999)
  arrived.open()
  t.strictSame(sent, [1])
  await liveness.confirm(11_999 + 14_999)
  t.equal(sent.length, 1)
})

t.test('the first echo of a session is due after up to 15 s, at random', async (t) => {
  for (const random of [0, 0.2, 1]) {
    t.intercept(Math, 'random', { value: () => random })
    let sent = 0
    const { liveness, arrived } = livenessOf({
      read: async () => {
        sent++
      },
      isHeard: async () => true,
    })
    const firstMs = 15_000 * (1 - random)
    await liveness.confirm(firstMs - 1)
    t.equal(sent, 0)
    await liveness.confirm(firstMs)
    t.equal(sent, 1)
    arrived.open()
  }
})

t.test('it sends an echo of its own every 15 s, although it hears others', async (t) => {
  let sent = 0
  const { liveness, arrived } = livenessOf({
    read: async () => {
      sent++
    },
    isHeard: async () => true,
  })
  const counts: number[] = []
  for (const ms of [dueMs, dueMs, 2 * dueMs - 1, 2 * dueMs]) {
    await liveness.confirm(ms)
    counts.push(sent)
  }
  arrived.open()
  t.strictSame(counts, [1, 1, 1, 2])
})
