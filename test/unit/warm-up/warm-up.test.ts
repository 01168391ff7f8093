import t, { type Test } from 'tap'
import type { ChangeFeedHandler, FeedSession, Proof } from '../../../src/core/ports.js'
import { WarmUp, type WarmUpParts } from '../../../src/warm-up/warm-up.js'
import { eventually } from '../../support/eventually.js'
import { Gate } from '../../support/gate.js'
import { ModelFeed } from '../../support/model-feed.js'
import { modelSidecar } from '../../support/model-sidecar.js'
import { turn } from '../../support/turn.js'

/** Over a model of everything else, with k1, k2 and k3 in the database; the feed is down and leads to the warm-up. */
function warmUpOf(t: Test, more: Partial<WarmUpParts> = {}) {
  const { store, clock, cache, logged, ...rest } = modelSidecar()
  store.setManyBySql({ k1: '1', k2: '2', k3: '3' })
  const done: string[] = []
  const keeper = {
    start: () => done.push('keeper started'),
    close: async () => done.push('keeper closed'),
  } as unknown as NonNullable<WarmUpParts['keeper']>
  const log = {
    info: (fields: object, message: string) => logged.push({ level: 'info', fields, message }),
    warn: (fields: object, message: string) => logged.push({ level: 'warn', fields, message }),
  }
  const keys = async () => ['k1', 'k2', 'k3']
  const parts = {
    from: 'test',
    keys,
    timeoutMs: 60_000,
    cache,
    capacity: () => 100,
    clock,
    log,
    keeper,
    ...more,
  }
  const warmUp = new WarmUp(parts)
  t.teardown(() => warmUp.close())
  const feed = new ModelFeed({ store, clock, handler: warmUp.follow(cache) })
  return { ...rest, store, clock, cache, logged, warmUp, done, feed }
}

const told = (logged: readonly { readonly message: string }[]) =>
  logged.map(({ message }) => message).filter((message) => /^warm-up/.test(message))

t.test('warming begins after the first catch-up', async (t) => {
  const { store, cache, feed, warmUp, done, logged } = warmUpOf(t)
  await turn()
  t.equal(warmUp.isOver, false)
  t.same(done, [])
  await feed.connect()
  await eventually(() => warmUp.isOver)
  t.equal(cache.status().stats.warmed, 3)
  t.same(done, ['keeper started'])
  t.same(told(logged), ['warm-up completed'])

  await cache.delete('k1')
  feed.lose()
  store.setBySql('k1', '2')
  await feed.connect()
  await turn()
  t.equal(cache.status().stats.warmed, 3)
  await warmUp.close()
  t.same(done, ['keeper started', 'keeper closed'])
})

t.test('a session that ends before it has caught up does not start warming', async (t) => {
  const { store, feed, warmUp } = warmUpOf(t)
  store.fail('position', 'store-unavailable')
  await t.rejects(feed.connect())
  await turn()
  t.equal(warmUp.isOver, false)
  const held = store.hold('position')
  const connected = feed.connect()
  await held.reached
  feed.lose()
  held.open()
  await connected
  await turn()
  t.equal(warmUp.isOver, false)
  await feed.connect()
  await eventually(() => warmUp.isOver)
})

t.test('every event of the feed reaches the cache', async (t) => {
  const { warmUp } = warmUpOf(t)
  const calls: unknown[][] = []
  const pending = Promise.resolve()
  const handler: ChangeFeedHandler = {
    bound: (...args) => void calls.push(['bound', ...args]),
    listening: async (...args) => void calls.push(['listening', ...args]),
    proven: (...args) => {
      calls.push(['proven', ...args])
      return pending
    },
    changed: (change) => {
      calls.push(['changed', change])
      return pending
    },
    lost: (...args) => void calls.push(['lost', ...args]),
    rest: () => {
      calls.push(['rest'])
      return pending
    },
  }
  const followed = warmUp.follow(handler)
  const session: FeedSession = { fingerprint: 'x', roundTrip: async () => 0, end: () => undefined }
  const proof: Proof = { epoch: '1-00000001', latest: 1n, fingerprint: 'x', databaseMs: 0 }
  followed.bound([])
  await followed.listening(1, session)
  t.equal(followed.proven(2, proof), pending)
  t.equal(followed.changed({ kind: 'everything' }), pending)
  t.equal(followed.rest(), pending)
  const cause = new Error('no connection')
  followed.lost('why', 'why in public', cause)
  t.same(calls, [
    ['bound', []],
    ['listening', 1, session],
    ['proven', 2, proof],
    ['changed', { kind: 'everything' }],
    ['rest'],
    ['lost', 'why', 'why in public', cause],
  ])
  await t.rejects(
    warmUp
      .follow({ ...handler, listening: () => Promise.reject(new Error('not caught up')) })
      .listening(1, session),
    /not caught up/,
  )
})

t.test('warming ends with a reason if the keys are unavailable or late', async (t) => {
  const broken = warmUpOf(t, { keys: () => Promise.reject(new Error('no such table')) })
  await broken.feed.connect()
  await eventually(() => broken.warmUp.isOver)
  t.match(broken.logged.at(-1), {
    level: 'warn',
    fields: { reason: 'no such table' },
    message: /warm-up failed/,
  })
  t.same(broken.done, ['keeper started'], 'from now on what is held is the best there is')

  const gate = new Gate()
  const hung = warmUpOf(t, { keys: () => gate.pass().then(() => []), timeoutMs: 20 })
  await hung.feed.connect()
  await eventually(() => hung.warmUp.isOver)
  t.match(hung.logged.at(-1), { level: 'warn', fields: { reason: 'CACHE_WARM_TIMEOUT_MS has passed' } })
  gate.open()
})

t.test('the log tells how many keys were put and read, and why not all were', async (t) => {
  const logOf = async (more: Partial<WarmUpParts>, fault?: 'store-unavailable') => {
    const { store, feed, warmUp, logged } = warmUpOf(t, more)
    if (fault) store.fail('read', fault)
    await feed.connect()
    await eventually(() => warmUp.isOver)
    return logged.at(-1)
  }
  const fields = { from: 'test', put: 3, asked: 3, keys: 3, forMs: 0 }
  t.strictSame(await logOf({}), { level: 'info', fields, message: 'warm-up completed' })
  t.strictSame(
    await logOf({ capacity: () => 2 }),
    { level: 'info', fields: { ...fields, put: 2, asked: 2 }, message: 'warm-up completed' },
    'as many as there is room for',
  )
  t.strictSame(await logOf({}, 'store-unavailable'), {
    level: 'warn',
    fields: { ...fields, put: 0, reason: 'the test says so' },
    message: 'warm-up incomplete',
  })
})

t.test('a warm-up that was stopped before it began does not wait for its keys', async (t) => {
  const { feed, warmUp, done, logged } = warmUpOf(t, { keys: () => new Promise(() => undefined) })
  warmUp.stop()
  await feed.connect()
  await eventually(() => warmUp.isOver)
  t.match(logged.at(-1), { fields: { keys: 0, reason: 'the sidecar is shutting down' } })
  t.same(done, [])
})

t.test('a warm-up is closed once it has ended', async (t) => {
  const { store, feed, warmUp } = warmUpOf(t)
  const held = store.hold('read')
  await feed.connect()
  await held.reached
  const closing = warmUp.close()
  t.equal(warmUp.isOver, false)
  await closing
  t.equal(warmUp.isOver, true)
  held.open()
})

t.test('warming that is stopped leaves the list unchanged', async (t) => {
  const { store, feed, warmUp, done, logged } = warmUpOf(t)
  const held = store.hold('read')
  await feed.connect()
  await held.reached
  warmUp.stop()
  await eventually(() => warmUp.isOver)
  t.match(logged.at(-1), { fields: { reason: 'the sidecar is shutting down' } })
  t.same(done, [])
  held.open()
})
