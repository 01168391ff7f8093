/** Doubts about what is held, and what they leave alone. */
import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { FillContests } from '../../../../src/core/leases/fill-contests.js'
import { formatToken, parseToken } from '../../../../src/core/state/session-token.js'
import { liveSidecar, type ModelSidecar, modelSidecar } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

/** Begins a fill that has read 1, and is answered after the returned function is called. */
async function beganToRead({ store, feed, cache }: ModelSidecar, key: string) {
  store.setBySql(key, '1')
  feed.deliver()
  const answer = store.hold('read', 'after')
  const reading = cache.get(key)
  await answer.reached
  return () => {
    answer.open()
    return reading
  }
}

t.test('if the clock of the database jumps, no read joins a fill from before', async (t) => {
  for (const jumpMs of [5_000, -5_000]) {
    const sidecar = await liveSidecar()
    const { store, feed, cache } = sidecar
    feed.probe()()
    const answered = await beganToRead(sidecar, 'k')
    store.putClockForward(jumpMs)
    feed.probe()()
    store.setBySql('k', '2')
    t.equal((await cache.get('k')).value, '2')
    t.equal((await answered()).value, '1')
  }
})

t.test('if the clock of the database jumps forward, rows that do not expire stay held', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  feed.probe()()
  await cache.set('lasting', '1')
  await cache.set('expiring', '1', { ttlMs: 60_000 })
  feed.deliver()
  store.putClockForward(5_000)
  feed.probe()()
  t.strictSame(
    ['lasting', 'expiring'].map((key) => cache.isHeld(key)),
    [true, false],
  )
})

t.test('a token says nothing about another key that is read with it', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  store.setBySql('k', '1')
  feed.deliver()
  await cache.get('k')
  const version = store.stamp()
  store.setBySql('j', '1')
  store.setBySql('k', '2', { version })
  const token = parseToken(formatToken('k', { version, epoch: store.now().epoch }))
  await cache.get('j', { token, strong: true })
  t.match(await cache.get('k', { token }), { value: '2', forwarded: 'request' })
})

t.test('entries that this sidecar has removed among others are known as its own changes', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('k', '1')
  const changes: string[] = []
  store.onChange((change) => change.kind === 'key' && changes.push(change.version))
  await cache.invalidate({ keys: ['k'], groups: [], prefix: undefined, all: false })
  t.strictSame(
    changes.map((version) => [version.startsWith('-'), cache.isOwn(version)]),
    [[true, true]],
  )
})

t.test('a write whose change was lost with a session does not end the next one', async (t) => {
  const { clock, feed, cache } = await liveSidecar()
  await cache.set('k', '1')
  feed.lose()
  await feed.connect()
  clock.advance(1)
  feed.probe()()
  t.equal(cache.status().feed, 'live')
})

t.test('everybody who waits for a key asks again when any key may have changed', async (t) => {
  const doubts: Readonly<Record<string, (sidecar: ModelSidecar) => unknown>> = {
    'a loss of the feed': ({ feed }) => feed.lose(),
    'a change without a name': ({ cache }) => cache.changed({ kind: 'everything' }),
    'a change of the keys of a pattern': ({ cache }) =>
      cache.changed({ kind: 'pattern', pattern: new KeyPattern('k{id}') }),
    'a rewritten table': ({ store, feed }) => {
      store.setSilently('k', '2')
      feed.probe()()
    },
    'a removal of more than can be named': ({ store, cache }) => {
      store.maxNamed = 0
      return cache.invalidate({ keys: [], groups: [], prefix: 'other', all: false })
    },
  }
  for (const [name, doubt] of Object.entries(doubts)) {
    const contests = new FillContests()
    const sidecar = modelSidecar({}, { contests })
    await sidecar.feed.connect()
    sidecar.store.setBySql('k', '1')
    sidecar.store.setBySql('other', '1')
    sidecar.feed.deliver()
    const contest = contests.enter('k')
    await doubt(sidecar)
    await turn()
    t.ok(contest.changes > 0, name)
  }
})
