import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { keyId } from '../../../../src/core/state/key-id.js'
import { liveSidecar, modelSidecar } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

t.test('a change of a key is logged for the clients that follow, with its version', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const { changeLog } = cache.following
  const { last, generation } = changeLog
  const version = store.setBySql('k', '1')
  feed.deliver()
  t.strictSame(changeLog.since(last), [{ number: last + 1, id: keyId('k'), version }])
  t.equal(changeLog.generation, generation, 'it is no gap')
})

t.test(
  'a change of all keys that a pattern covers drops them, and is a gap for those who follow',
  async (t) => {
    const { store, feed, cache } = await liveSidecar()
    for (const key of ['user:1', 'other']) store.setBySql(key, '1')
    feed.deliver()
    for (const key of ['user:1', 'other']) await cache.get(key)
    const { generation } = cache.following.changeLog
    t.equal(cache.changed({ kind: 'pattern', pattern: new KeyPattern('user:{id}') }), undefined)
    t.equal(cache.isHeld('user:1'), false)
    t.equal(cache.isHeld('other'), true)
    t.equal(cache.following.changeLog.generation, generation + 1)
    t.equal(cache.status().feed, 'live')
  },
)

t.test('the status tells why the feed is not live, and the transitions tell it too', async (t) => {
  const { store, feed, cache } = modelSidecar()
  t.equal(cache.status().feedReason, 'starting')
  const position = store.hold('position')
  const connected = feed.connect()
  await position.reached
  t.match(cache.status(), { feed: 'catching-up', feedReason: 'catching up' })
  position.open()
  await connected
  t.match(cache.status(), { feed: 'live', feedReason: undefined })
  cache.lost('no connection to db.example', 'no connection')
  t.match(cache.status(), { feed: 'down', feedReason: 'no connection' })
  await feed.connect()
  store.setManyBySql({ a: '1' })
  feed.deliver()
  t.match(cache.status(), { feed: 'catching-up', feedReason: 'catching up' })
  t.match(
    cache.feedTransitions.map(({ state, reason }) => [state, reason]),
    [
      ['catching-up', 'connected and listening'],
      ['live', /compared/],
      ['down', 'no connection'],
      ['catching-up', 'connected and listening'],
      ['live', /compared/],
      ['catching-up', 'more has changed than was named'],
    ],
  )
})

t.test('further changes that are not named are no further transition', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  for (const key of ['a', 'b']) {
    store.setManyBySql({ [key]: '1' })
    feed.deliver()
  }
  t.strictSame(
    cache.feedTransitions.map(({ state }) => state),
    ['catching-up', 'live', 'catching-up'],
  )
})

t.test('a new session begins at the position of the database, even if that is lower', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const backup = store.backup()
  for (let count = 0; count < 10; count++) store.setBySql('k', '1')
  feed.probe()()
  feed.lose()
  store.failOver('2-00000002', backup)
  await feed.connect()
  feed.probe()()
  t.equal(cache.status().feed, 'live')
})

t.test('a mark that the database has lost is lost once', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  await turn()
  const empty = store.backup()
  for (let count = 0; count < 2; count++) {
    feed.lose()
    store.failOver(store.now().epoch, { ...empty, drawn: 0n, marks: new Map() })
    store.fail('mark', 'store-unavailable')
    await feed.connect()
    t.equal(cache.status().stats.flushes, 1)
  }
})

t.test('a session that is lost while it catches up leaves no mark', async (t) => {
  const { store, feed } = modelSidecar()
  const position = store.hold('position')
  const connecting = feed.connect()
  await position.reached
  feed.lose()
  position.open()
  await connecting
  t.notOk(store.statements.some(({ operation }) => operation === 'mark'))
})

t.test('an entry that is dropped during a comparison is not compared', async (t) => {
  const { store, feed, cache } = await liveSidecar({ capacity: 2_000 })
  const keys = Array.from({ length: 1_002 }, (_, number) => `k${number}`)
  for (const key of keys) store.setBySql(key, '1')
  feed.deliver()
  await cache.getMany(keys, {}, () => undefined)
  feed.lose()
  const answer = store.hold('versions', 'after')
  const connecting = feed.connect()
  await answer.reached
  // The most recently used are compared first.
  cache.drop('k0')
  answer.open()
  await connecting
  t.equal(cache.status().feed, 'live')
  t.strictSame(store.statements.filter(({ operation }) => operation === 'versions').at(-1)?.keys, ['k1'])
})

t.test('changed bindings are logged with their patterns', async (t) => {
  const { cache, logged } = await liveSidecar()
  const binding = { pattern: new KeyPattern('user:{id}'), fingerprint: 'f', viaOutbox: false }
  cache.bound([binding])
  const line = { level: 'info', fields: { patterns: ['user:{id}'] }, message: 'bindings changed' }
  t.strictSame(logged.at(-1), line)
  cache.bound([binding])
  t.equal(logged.filter(({ message }) => message === line.message).length, 1)
})

t.test('the feed does not rest before it has caught up', async (t) => {
  const { clock, store, feed } = await liveSidecar({ idleAfterMs: 1_000 })
  store.setManyBySql({ a: '1' })
  feed.deliver()
  clock.advance(1_000)
  t.equal(feed.rest(), undefined)
})

t.test('a rewritten table flushes the cache, and the log says so', async (t) => {
  const { store, feed, cache, logged } = await liveSidecar()
  await cache.set('k', '1')
  feed.deliver()
  store.setSilently('k', '2')
  feed.probe()()
  t.equal(cache.isHeld('k'), false)
  t.equal(cache.status().stats.flushes, 1)
  t.ok(
    logged.some(
      ({ message, fields }) => message === 'cache flushed' && /rewritten/.test(JSON.stringify(fields)),
    ),
  )
})

t.test('a mark is left at most every 10 seconds', async (t) => {
  const { store, feed, clock, cache } = await liveSidecar()
  const marks = () => store.statements.filter(({ operation }) => operation === 'mark').length
  const write = async (value: string) => {
    await cache.set('k', value)
    feed.deliver()
    feed.probe()()
    await turn()
  }
  await write('1')
  const before = marks()
  clock.advance(10_000)
  await write('2')
  t.equal(marks(), before + 1)
  clock.advance(9_999)
  await write('3')
  t.equal(marks(), before + 1)
})
