import { mock } from 'node:test'
import t, { type Test } from 'tap'
import type { Database } from '../../../src/postgres/pool/database.js'
import { memberOf } from '../../support/fleet-membership.js'
import { Gate } from '../../support/gate.js'
import { memberState as state } from '../../support/member-state.js'
import { turn } from '../../support/turn.js'

/** Mocks the timer of a membership. A tick of it is a look at whether a heartbeat is due. */
function mockTimers(t: Test): void {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
}

/** Moves the timer and the clock of a membership. */
async function pass({ clock }: ReturnType<typeof memberOf>, ms: number): Promise<void> {
  clock.advance(ms)
  mock.timers.tick(ms)
  await turn()
}

t.test('a heartbeat is sent in each interval, and up to a tenth of it later', async (t) => {
  mockTimers(t)
  t.intercept(Math, 'random', { value: () => 1 })
  const member = memberOf(t, 20_000)
  const { sent } = member
  member.member.start()
  await turn()
  const counts = [sent.heartbeats.length]
  // The timer ticks every 5 s.
  for (const ms of [20_000, 2_000, 3_000]) {
    await pass(member, ms)
    counts.push(sent.heartbeats.length)
  }
  t.strictSame(counts, [1, 1, 1, 2])
})

t.test('it looks whether one is due every 5 s, or at the interval if that is shorter', async (t) => {
  mockTimers(t)
  for (const [intervalMs, lookMs] of [
    [60_000, 5_000],
    [1_000, 1_000],
  ] as const) {
    const member = memberOf(t, intervalMs)
    member.is.isIdle = true
    member.member.start()
    const { looks } = member.is
    await pass(member, lookMs - 1)
    t.equal(member.is.looks, looks)
    await pass(member, 1)
    t.equal(member.is.looks, looks + 1)
    await member.member.close()
    const closed = member.is.looks
    await pass(member, 60_000)
    t.equal(member.is.looks, closed, 'no more once it is closed')
  }
})

t.test('another interval counts at once, and the same one changes nothing', async (t) => {
  mockTimers(t)
  const member = memberOf(t, 60_000)
  const { sent, is } = member
  member.member.start()
  await turn()
  await member.member.fleet()
  member.member.reconfigure({ intervalMs: 60_000 })
  await turn()
  t.equal(sent.heartbeats.length, 1)
  member.member.reconfigure({ intervalMs: 30_000 })
  await turn()
  t.strictSame(
    sent.heartbeats.map((values) => values[11]),
    [76, 43],
  )
  await member.member.fleet()
  t.equal(sent.lists, 2, 'the list is read again')
  const { looks } = is
  await pass(member, 5_000)
  t.equal(is.looks, looks + 1, 'there is one timer')
  member.member.reconfigure({ intervalMs: 0 })
  await pass(member, 60_000)
  t.equal(is.looks, looks + 1, 'and none without an interval')
})

t.test('another interval starts nothing before the start, nor after the end', async (t) => {
  const { member, is } = memberOf(t, 60_000)
  member.reconfigure({ intervalMs: 30_000 })
  t.equal(is.looks, 0)
  member.start()
  await member.close()
  const { looks } = is
  member.reconfigure({ intervalMs: 60_000 })
  t.equal(is.looks, looks)
})

t.test('another status is announced with the next look', async (t) => {
  mockTimers(t)
  let status = state.status
  const member = memberOf(t, 60_000, { status: () => status })
  const { sent } = member
  member.member.start()
  await turn()
  await pass(member, 5_000)
  t.equal(sent.heartbeats.length, 1)
  status = 'stopping' as typeof status
  await pass(member, 5_000)
  t.equal(sent.heartbeats.length, 2)
})

t.test('one heartbeat at a time is sent, and its row is removed at the end', async (t) => {
  mockTimers(t)
  const sending = new Gate()
  const sent: string[] = []
  const database = {
    read: async () => [{ obstacle: null, isReadOnly: false }],
    write: (text: string) => {
      sent.push(/^delete/.test(text) ? 'left' : 'heartbeat')
      return sending.pass()
    },
  } as unknown as Database
  const member = memberOf(t, 1_000, { database })
  member.member.start()
  await sending.reached
  await pass(member, 2_000)
  t.strictSame(sent, ['heartbeat'])
  const closing = member.member.close()
  await turn()
  t.strictSame(sent, ['heartbeat'])
  sending.open()
  await closing
  t.strictSame(sent, ['heartbeat', 'left'])
})
