import t from 'tap'
import { type FeedState, Lease } from '../../../../src/core/state/lease.js'

const boundMs = 3_000
/** LISTEN was acknowledged, the last probe before the event was sent, the event's probe was sent. */
const listenedMs = 1_000
const provenMs = 2_000
const eventMs = 5_000

const reach: Readonly<Record<FeedState, () => Lease>> = {
  down: () => {
    const lease = reach.live()
    lease.lost()
    return lease
  },
  idle: () => {
    const lease = reach.live()
    lease.rest()
    return lease
  },
  'catching-up': () => {
    const lease = reach.live()
    lease.doubt()
    return lease
  },
  live: () => {
    const lease = new Lease(boundMs)
    lease.listening(listenedMs)
    lease.compared(lease.comparing())
    lease.proven(provenMs)
    return lease
  },
}

const events = {
  lost: (lease: Lease) => lease.lost(),
  rest: (lease: Lease) => lease.rest(),
  listening: (lease: Lease) => lease.listening(eventMs),
  doubt: (lease: Lease) => lease.doubt(),
  compared: (lease: Lease) => lease.compared(lease.comparing()),
  'compared, but not what is in doubt since': (lease: Lease) =>
    lease.compared({ ...lease.comparing(), generation: lease.generation - 1 }),
  'compared, for an earlier session': (lease: Lease) =>
    lease.compared({ ...lease.comparing(), session: lease.comparing().session - 1 }),
  proven: (lease: Lease) => lease.proven(eventMs),
}

interface After {
  readonly state: FeedState
  readonly generations: 0 | 1
  readonly asOfMs: number
}

/** A missing cell does not compile. */
const table: Readonly<Record<FeedState, Readonly<Record<keyof typeof events, After>>>> = {
  down: {
    lost: { state: 'down', generations: 1, asOfMs: provenMs },
    rest: { state: 'idle', generations: 1, asOfMs: provenMs },
    listening: { state: 'catching-up', generations: 0, asOfMs: provenMs },
    doubt: { state: 'down', generations: 1, asOfMs: provenMs },
    compared: { state: 'down', generations: 0, asOfMs: provenMs },
    'compared, but not what is in doubt since': { state: 'down', generations: 0, asOfMs: provenMs },
    'compared, for an earlier session': { state: 'down', generations: 0, asOfMs: provenMs },
    proven: { state: 'down', generations: 0, asOfMs: provenMs },
  },
  idle: {
    lost: { state: 'down', generations: 1, asOfMs: provenMs },
    rest: { state: 'idle', generations: 1, asOfMs: provenMs },
    listening: { state: 'catching-up', generations: 0, asOfMs: provenMs },
    doubt: { state: 'idle', generations: 1, asOfMs: provenMs },
    compared: { state: 'idle', generations: 0, asOfMs: provenMs },
    'compared, but not what is in doubt since': { state: 'idle', generations: 0, asOfMs: provenMs },
    'compared, for an earlier session': { state: 'idle', generations: 0, asOfMs: provenMs },
    proven: { state: 'idle', generations: 0, asOfMs: provenMs },
  },
  'catching-up': {
    lost: { state: 'down', generations: 1, asOfMs: provenMs },
    rest: { state: 'idle', generations: 1, asOfMs: provenMs },
    listening: { state: 'catching-up', generations: 0, asOfMs: provenMs },
    doubt: { state: 'catching-up', generations: 1, asOfMs: provenMs },
    compared: { state: 'live', generations: 0, asOfMs: provenMs },
    'compared, but not what is in doubt since': { state: 'catching-up', generations: 0, asOfMs: provenMs },
    'compared, for an earlier session': { state: 'catching-up', generations: 0, asOfMs: provenMs },
    proven: { state: 'catching-up', generations: 0, asOfMs: provenMs },
  },
  live: {
    lost: { state: 'down', generations: 1, asOfMs: provenMs },
    rest: { state: 'idle', generations: 1, asOfMs: provenMs },
    listening: { state: 'catching-up', generations: 0, asOfMs: provenMs },
    doubt: { state: 'catching-up', generations: 1, asOfMs: provenMs },
    compared: { state: 'live', generations: 0, asOfMs: provenMs },
    'compared, but not what is in doubt since': { state: 'live', generations: 0, asOfMs: provenMs },
    'compared, for an earlier session': { state: 'live', generations: 0, asOfMs: provenMs },
    proven: { state: 'live', generations: 0, asOfMs: eventMs },
  },
}

for (const [state, row] of Object.entries(table) as [FeedState, (typeof table)[FeedState]][]) {
  for (const [event, after] of Object.entries(row) as [keyof typeof events, After][]) {
    t.test(`${state}, then ${event}: ${after.state}`, async (t) => {
      const lease = reach[state]()
      t.equal(lease.state, state)
      const { generation } = lease
      events[event](lease)
      t.equal(lease.state, after.state)
      t.equal(lease.generation - generation, after.generations, 'generations')
      t.equal(lease.ageMs(eventMs), eventMs - after.asOfMs, 'asOf')
      const hasCaughtUp = state === 'live' || state === 'catching-up'
      t.equal(lease.mayPut, hasCaughtUp && !['lost', 'rest', 'listening'].includes(event), 'mayPut')
    })
  }
}

t.test('a lease begins down, with nothing proven', async (t) => {
  const lease = new Lease(boundMs)
  t.equal(lease.state, 'down')
  t.equal(lease.ageMs(0), Number.POSITIVE_INFINITY)
  t.equal(lease.holds(Number.MAX_SAFE_INTEGER), false)
})

t.test('a lease holds up to the bound and not beyond', async (t) => {
  const lease = reach.live()
  t.equal(lease.holds(provenMs + boundMs), true)
  t.equal(lease.holds(provenMs + boundMs + 1), false)
})

t.test('a lost feed does not shorten the lease', async (t) => {
  const lease = reach.down()
  t.equal(lease.holds(provenMs + boundMs), true)
  t.equal(lease.holds(provenMs + boundMs + 1), false)
})

t.test('a proof during catch-up counts once that is done', async (t) => {
  const lease = reach.down()
  lease.listening(eventMs)
  lease.proven(eventMs + 500)
  lease.proven(eventMs + 200)
  t.equal(lease.ageMs(eventMs), eventMs - provenMs)
  lease.compared(lease.comparing())
  t.equal(lease.ageMs(eventMs + 500), 0)
})

t.test('a proof during catch-up is void if the feed is lost before that is done', async (t) => {
  const lease = reach.down()
  lease.listening(eventMs)
  lease.proven(eventMs + 500)
  lease.lost()
  lease.listening(eventMs + 100)
  lease.compared(lease.comparing())
  t.equal(lease.ageMs(eventMs + 100), 0)
})

t.test('after a doubt during catch-up only a later comparison makes the feed live', async (t) => {
  const lease = reach.down()
  lease.listening(eventMs)
  const { generation } = lease
  lease.doubt()
  lease.compared({ ...lease.comparing(), generation })
  t.equal(lease.state, 'catching-up')
  lease.compared(lease.comparing())
  t.equal(lease.state, 'live')
  t.equal(lease.ageMs(eventMs), 0)
})

t.test('no later proof shortens the lease', async (t) => {
  const lease = reach.live()
  lease.proven(provenMs - 1)
  t.equal(lease.ageMs(provenMs), 0)
  lease.lost()
  lease.listening(provenMs - 1)
  lease.compared(lease.comparing())
  t.equal(lease.ageMs(provenMs), 0)
})

t.test(
  'notifications that name no change and never end: what was compared is proven all the same',
  async (t) => {
    const lease = reach.live()
    let nowMs = eventMs
    for (let round = 0; round < 10; round++) {
      lease.proven(nowMs)
      lease.doubt()
      lease.proven(nowMs + 100)
      const comparison = lease.comparing()
      lease.doubt()
      lease.proven(nowMs + 200)
      lease.compared(comparison)
      t.equal(lease.state, 'catching-up')
      t.equal(lease.asOfMs, nowMs + 100, 'up to where the comparison began, and not beyond')
      t.ok(lease.mayPut)
      nowMs += 1_000
    }
  },
)

t.test('a fill may put once the feed has caught up in this session, and until it is lost', async (t) => {
  const lease = new Lease(boundMs)
  t.notOk(lease.mayPut)
  lease.listening(listenedMs)
  t.notOk(lease.mayPut, 'what happened before has not been compared')
  const before = lease.comparing()
  lease.compared(before)
  t.ok(lease.mayPut)
  lease.doubt()
  t.ok(lease.mayPut, 'what is read from now on is not in doubt')
  lease.lost()
  t.notOk(lease.mayPut)
  lease.listening(eventMs)
  lease.compared(before)
  t.notOk(lease.mayPut)
})
