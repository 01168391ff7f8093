import t from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import { eventually } from '../../support/eventually.js'
import { memberOf, otherRow } from '../../support/fleet-membership.js'
import { turn } from '../../support/turn.js'

t.test('a heartbeat has the state, and says how long it counts and is kept', async (t) => {
  const idle = { idleInMs: () => 0 }
  for (const [intervalMs, parts, late, mayBeIdle, kept] of [
    [60_000, {}, 76, false, 360],
    [5_000, {}, 15.5, false, 60],
    [60_000, idle, 76, true, 86_400],
  ] as const) {
    const { member, sent } = memberOf(t, intervalMs, parts)
    member.start()
    await eventually(() => sent.heartbeats.length === 1)
    const [sidecar, ...values] = sent.heartbeats[0] ?? []
    t.match(sidecar, /^[0-9a-f-]{36}$/)
    t.strictSame(values, [
      ...['1.2.3', 'pod-a', '10.1.2.3', 9025, 90, 'ready', 12, 0.75, 8, 42],
      ...[late, mayBeIdle, kept],
    ])
    await member.close()
    t.strictSame(sent.left, [sidecar])
    await member.close()
    t.equal(sent.left.length, 1, 'it leaves once')
  }
})

t.test('a sidecar that would be idle a while after its next heartbeat is not idle by then', async (t) => {
  for (const [idleInMs, mayBeIdle] of [
    [71_000, true],
    [71_001, false],
  ] as const) {
    const { member, sent } = memberOf(t, 60_000, { idleInMs: () => idleInMs })
    member.start()
    await eventually(() => sent.heartbeats.length === 1)
    t.equal(sent.heartbeats[0]?.at(-2), mayBeIdle)
  }
})

t.test('a sidecar that has sent nothing, or is idle, has no row to remove', async (t) => {
  const silent = memberOf(t, 0)
  silent.member.start()
  await silent.member.close()
  const { member, sent, is } = memberOf(t, 60_000)
  member.start()
  await eventually(() => sent.heartbeats.length === 1)
  is.isIdle = true
  await member.close()
  t.strictSame([...silent.sent.left, ...sent.left], [])
})

t.test('a row that cannot be removed does not keep the sidecar from closing', async (t) => {
  const { member, sent, is } = memberOf(t, 60_000)
  member.start()
  await eventually(() => sent.heartbeats.length === 1)
  is.write = new CacheError('store-unavailable', 'm')
  await member.close()
})

t.test('nothing is written on a server that is read-only, and nobody is told', async (t) => {
  const { member, sent, answers, logged } = memberOf(t, 60_000)
  answers.isReadOnly = true
  member.start()
  await eventually(() => sent.obstacles === 1)
  await turn()
  t.strictSame([sent.heartbeats, logged], [[], []])
})

t.test('the list is read again after 2 s, and marks this sidecar', async (t) => {
  const { member, clock, sent } = memberOf(t, 60_000)
  t.same(await member.fleet(), { members: [{ ...otherRow, isSelf: false }], obstacle: undefined })
  clock.advance(2_000)
  await member.fleet()
  t.equal(sent.lists, 1)
  clock.advance(1)
  await member.fleet()
  t.equal(sent.lists, 2)
})

t.test('a list that cannot be read is answered as it was last seen', async (t) => {
  const { member, clock, answers, logged } = memberOf(t, 60_000)
  const before = await member.fleet()
  clock.advance(2_001)
  answers.read = new CacheError('store-unavailable', 'm')
  t.same(await member.fleet(), { members: before.members, obstacle: 'failed' })
  t.strictSame(logged, [], 'requests report that anyway')
  for (const _time of [1, 2]) {
    clock.advance(2_001)
    answers.read = new CacheError('store-failed', 'a mistake')
    t.match(await member.fleet(), { obstacle: 'failed' })
  }
  t.same(logged, [
    {
      level: 'info',
      fields: { reason: 'a mistake' },
      message: 'this sidecar is not in the list of the fleet',
    },
  ])
})

t.test('a sidecar that is idle, or has no heartbeats, answers without the database', async (t) => {
  const { member, is, answers } = memberOf(t, 60_000)
  answers.read = new Error('it was asked')
  is.isIdle = true
  t.same(await member.fleet(), { members: [], obstacle: 'idle' })
  t.same(await memberOf(t, 0).member.fleet(), { members: [], obstacle: 'off' })
})

t.test('a heartbeat is sent again soon if the database did not take it', async (t) => {
  const { member, sent, is, clock } = memberOf(t, 20)
  const looked = (times: number) => {
    const until = is.looks + times
    return eventually(() => is.looks >= until)
  }
  is.write = new CacheError('store-busy', 'm')
  member.start()
  await eventually(() => sent.obstacles === 2)
  is.write = undefined
  await eventually(() => sent.heartbeats.length === 1)
  const { obstacles } = sent
  clock.advance(19)
  await looked(3)
  t.equal(sent.heartbeats.length, 1)
  clock.advance(3)
  await eventually(() => sent.heartbeats.length === 2)
  await looked(3)
  t.equal(sent.heartbeats.length, 2)
  t.equal(sent.obstacles, obstacles, 'what was possible is not asked for again')
})
