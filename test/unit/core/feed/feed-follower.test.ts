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
