import t from 'tap'
import { noBindings } from '../../../../src/core/bindings/bindings.js'
import { KeyWaits } from '../../../../src/core/changes/key-waits.js'
import { CacheError } from '../../../../src/core/errors.js'
import { FillContests } from '../../../../src/core/leases/fill-contests.js'
import type { LeaseAnswer } from '../../../../src/core/leases/fill-leases.js'
import { type LeasedRead, LeasedReads, type LeaseRequest } from '../../../../src/core/leases/leased-reads.js'
import type { ReadResult } from '../../../../src/core/reads/read-result.js'
import type { FeedState } from '../../../../src/core/state/lease.js'
import type { CacheStatus } from '../../../../src/core/status.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { turn } from '../../../support/turn.js'

/** Creates the reads of a sidecar whose store has `value`, and whose next leases are `answers`. */
function leasedReads(...answers: (LeaseAnswer | (() => LeaseAnswer))[]) {
  const clock = new DrivenClock()
  const contests = new FillContests()
  const timers = new Map<() => void, number>()
  const after = (ms: number, task: () => void) => {
    timers.set(task, clock.now() + ms)
    return () => timers.delete(task)
  }
  const waits = new KeyWaits({
    cache: { status: (): CacheStatus => ({ feed: model.feed }) as CacheStatus },
    contests,
    clock,
    after,
  })
  const model = {
    clock,
    waits,
    contests,
    timers,
    value: undefined as string | undefined,
    feed: 'live' as FeedState,
    reads: [] as boolean[],
    acquired: 0,
    released: [] as string[],
    /** Fires the timers that are due after `ms`. */
    async pass(ms: number): Promise<void> {
      clock.advance(ms)
      for (const [task, atMs] of [...timers]) if (atMs <= clock.now()) task()
      await turn()
    },
    leased: new LeasedReads({
      cache: {
        get: async (_key, { strong = false } = {}): Promise<ReadResult> => {
          model.reads.push(strong)
          return { value: model.value, ageMs: 0 }
        },
      },
      bindings: noBindings,
      contests,
      leases: {
        acquire: async (): Promise<LeaseAnswer> => {
          model.acquired++
          const answer = answers.shift() ?? { kind: 'taken', remainingMs: 10_000 }
          return typeof answer === 'function' ? answer() : answer
        },
        release: async (_key, lease): Promise<void> => {
          model.released.push(lease)
        },
        giveBack: async () => undefined,
      },
      clock,
      waits,
      after,
    }),
    get: (request: Partial<LeaseRequest> = {}): Promise<LeasedRead> =>
      model.leased.get(
        'k',
        {},
        {
          durationMs: 10_000,
          groups: [],
          waitMs: 60_000,
          signal: new AbortController().signal,
          isGone: () => false,
          ...request,
        },
      ),
  }
  return model
}

const granted: LeaseAnswer = { kind: 'granted', lease: 'lease' }
const taken = (remainingMs: number): LeaseAnswer => ({ kind: 'taken', remainingMs })

t.test('50 callers share one statement, and a change wakes all', async (t) => {
  const model = leasedReads(granted)
  const callers = Array.from({ length: 50 }, () => model.get())
  await turn()
  t.equal(model.acquired, 1)
  t.equal(model.contests.waiting, 49)
  t.match(await callers[0], { kind: 'granted', lease: 'lease' })
  t.equal(model.reads.filter(Boolean).length, 1, 'the holder has read once more, from the primary')
  model.value = '1'
  model.contests.changed('another key')
  await turn()
  t.equal(model.contests.waiting, 49)
  model.contests.changed('k')
  const others = await Promise.all(callers.slice(1))
  t.ok(others.every(({ kind }) => kind === 'found'))
  t.equal(model.acquired, 1)
  t.equal(model.contests.waiting, 0)
  t.equal(model.timers.size, 0, 'no timer is left behind')
  t.same(model.contests.counts, { granted: 1, refused: 0, waiting: 0 })
})

t.test('a change between the read and the answer about the lease is not missed', async (t) => {
  const model: ReturnType<typeof leasedReads> = leasedReads(() => {
    model.value = '1'
    model.contests.changed('k')
    return taken(10_000)
  })
  t.match(await model.get(), { kind: 'found', read: { value: '1' } })
})

t.test('a value that was stored before the lease was given is found', async (t) => {
  const model: ReturnType<typeof leasedReads> = leasedReads(() => {
    model.value = '1'
    return granted
  })
  t.match(await model.get(), { kind: 'found', read: { value: '1' } })
  t.same(model.released, ['lease'])
  t.equal(model.contests.granted, 0)
})

t.test('when the lease ends, one of those who wait asks for the next', async (t) => {
  const model = leasedReads(taken(5_000), granted)
  const callers = [model.get(), model.get()]
  await turn()
  await model.pass(4_000)
  t.equal(model.acquired, 1, 'nobody asks before')
  await model.pass(1_010)
  t.match(await Promise.race(callers), { kind: 'granted' })
  t.equal(model.acquired, 2)
  t.equal(model.contests.waiting, 1)
})

t.test('a caller that waits in vain learns when to come back', async (t) => {
  const model = leasedReads(taken(5_000))
  t.match(await model.get({ waitMs: 0 }), { kind: 'vain', retryAfterMs: 5_010 })
  const caller = model.get({ waitMs: 2_000 })
  await turn()
  await model.pass(2_000)
  t.match(await caller, { kind: 'vain' })
})

t.test('a caller that comes later asks again, unless somebody has asked just now', async (t) => {
  const model = leasedReads()
  model.get()
  await turn()
  model.get()
  await turn()
  t.equal(model.acquired, 1)
  await model.pass(1_000)
  model.get()
  await turn()
  t.equal(model.acquired, 2)
})

t.test('while changes do not arrive, callers ask twice a second', async (t) => {
  const model = leasedReads()
  model.feed = 'down'
  const caller = model.get()
  await turn()
  t.equal(Math.min(...model.timers.values()) - model.clock.now(), 500)
  model.value = '1'
  await model.pass(500)
  t.match(await caller, { kind: 'found' })
})

t.test('a loss of the feed wakes those who wait', async (t) => {
  const model = leasedReads()
  const caller = model.get()
  await turn()
  model.feed = 'down'
  model.contests.allChanged()
  await turn()
  model.value = '1'
  await model.pass(500)
  t.match(await caller, { kind: 'found' })
})

t.test('a lease that is blocked is asked for a few times, and then again while somebody waits', async (t) => {
  const blocked = Array.from({ length: 5 }, (): LeaseAnswer => ({ kind: 'blocked' }))
  const model = leasedReads(...blocked, granted)
  const caller = model.get()
  for (let attempt = 1; attempt <= 5; attempt++) {
    await turn()
    t.equal(model.acquired, attempt)
    await model.pass(40)
  }
  await model.pass(250)
  t.match(await caller, { kind: 'granted' })
})

t.test('a lease for a client that is gone is given back, and another caller gets the next', async (t) => {
  const model = leasedReads(granted, granted)
  const gone = model.get({ isGone: () => true })
  const other = model.get()
  t.match(await gone, { kind: 'vain' })
  t.same(model.released, ['lease'])
  t.match(await other, { kind: 'granted' })
})

t.test('a value that was refused wakes those who wait, and one of them gets the lease', async (t) => {
  const model = leasedReads(taken(300_000), granted)
  const caller = model.get()
  await turn()
  model.contests.refusedFill('k')
  t.match(await caller, { kind: 'granted' })
  t.equal(model.contests.refused, 1)
})

t.test('waits end when the client goes away, and at a shutdown', async (t) => {
  const model = leasedReads()
  const controller = new AbortController()
  const one = model.get({ signal: controller.signal })
  const two = model.get()
  await turn()
  controller.abort()
  t.match(await one, { kind: 'vain' })
  t.equal(model.contests.waiting, 1)
  model.waits.close()
  t.match(await two, { kind: 'vain' })
  t.match(await model.get(), { kind: 'vain' }, 'nobody waits any more')
})

t.test('no more than 1,000 requests wait', async (t) => {
  const model = leasedReads()
  const callers = Array.from({ length: 1_001 }, () => model.get())
  await turn()
  t.equal(model.contests.waiting, 1_000)
  t.match(await Promise.race(callers), { kind: 'vain' })
})

t.test('an error is for all who share the statement', async (t) => {
  const model = leasedReads(() => {
    throw new CacheError('forbidden', 'no right')
  })
  const callers = [model.get(), model.get()]
  for (const caller of callers) await t.rejects(caller, { code: 'forbidden' })
  t.equal(model.acquired, 1)
  model.get()
  await turn()
  t.equal(model.acquired, 2, 'the next one asks again')
})
