import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { eventually } from '../../support/eventually.js'
import type { Member } from '../fleet/fleet.js'
import { RecoveryWatch } from './recovery.js'

const maxStalenessMs = 500

/** A sidecar whose feed the test loses and recovers. */
function member() {
  const feed = { state: 'live', lease_age_ms: 0, losses: 0 }
  let looks = 0
  const look = async () => {
    looks++
    return { feed: { ...feed } }
  }
  return {
    feed,
    looks: () => looks,
    member: { observer: { look } } as unknown as Member,
    async isDownFor(ms: number) {
      Object.assign(feed, { state: 'down', losses: feed.losses + 1 })
      await sleep(ms)
      feed.state = 'live'
    },
  }
}

function watch() {
  const tooLate: string[] = []
  return {
    tooLate,
    recovery: new RecoveryWatch({
      maxStalenessMs,
      allowanceMs: 3_000,
      onTooLate: (_member, what) => tooLate.push(what),
    }),
  }
}

t.test(
  'how long it took, from the fault to its notice and from its end until the feed was live',
  async (t) => {
    const { recovery, tooLate } = watch()
    const one = member()
    const now = () => performance.now()
    const beganMs = now()
    const healed = await recovery.begin('reset', one.member)
    one.feed.state = 'down'
    one.feed.losses = 1
    // The look that is under way may not have seen the loss.
    const looks = one.looks()
    await eventually(() => one.looks() > looks + 2)
    const noticedByMs = now()
    healed()
    const healedByMs = now()
    await sleep(100)
    const liveFromMs = now()
    one.feed.state = 'live'
    await recovery.settled()
    const endMs = now()
    t.match(recovery.recovered, [{ kind: 'reset', isLate: false, isDisturbed: false }])
    const { noticedMs = 0, recoveredMs = 0 } = recovery.recovered[0] ?? {}
    t.ok(noticedMs > 0 && noticedMs <= noticedByMs - beganMs, `noticed after ${noticedMs} ms`)
    t.ok(recoveredMs >= liveFromMs - healedByMs, `live after ${recoveredMs} ms`)
    t.ok(recoveredMs <= endMs - noticedByMs, `live after ${recoveredMs} ms`)
    t.same(tooLate, [])
  },
)

t.test('a feed that is not lost needs no recovery', async (t) => {
  const { recovery } = watch()
  const healed = await recovery.begin('slow', member().member)
  healed()
  await recovery.settled()
  t.match(recovery.recovered, [{ kind: 'slow', recoveredMs: undefined, isDisturbed: false }])
})

t.test('faults that overlap are not measured', async (t) => {
  const { recovery } = watch()
  const one = member()
  const ends = [await recovery.begin('reset', one.member), await recovery.begin('stall', one.member)]
  const down = one.isDownFor(100)
  for (const end of ends) end()
  await down
  await recovery.settled()
  t.match(recovery.recovered, [{ isDisturbed: true }, { isDisturbed: true }])
})

t.test('a slightly late recovery is counted, a very late one is a violation', async (t) => {
  const { recovery, tooLate } = watch()
  const after = async (kind: 'reset' | 'half-open', unnoticedMs: number, downMs: number) => {
    const one = member()
    const healed = await recovery.begin(kind, one.member)
    const happens = sleep(unnoticedMs).then(() => one.isDownFor(downMs))
    await sleep(unnoticedMs && unnoticedMs + 100)
    healed()
    await happens
  }
  await Promise.all([
    after('reset', 0, 3_300),
    after('reset', 0, 6_300),
    after('half-open', 300, 100),
    after('half-open', 800, 100),
    after('half-open', 3_800, 100),
  ])
  await recovery.settled()
  t.equal(recovery.recovered.filter(({ isLate }) => isLate).length, 4)
  t.equal(tooLate.length, 2)
  t.match(
    tooLate.find((what) => what.includes('notice')),
    /took \d+ ms to notice "half-open" \(L is 500 ms\)/,
  )
  t.match(
    tooLate.find((what) => what.includes('live')),
    /had a live feed only \d+ ms after the end of "reset"/,
  )
})

t.test(
  'something other than the feed is waited for, and what another fault delays is not measured',
  async (t) => {
    const { recovery, tooLate } = watch()
    const backIn = (ms: number) => {
      const untilMs = performance.now() + ms
      return async () => performance.now() > untilMs
    }
    await recovery.untilBack('full disk', member().member, backIn(200))
    t.match(recovery.recovered, [{ kind: 'full disk', isLate: false, isDisturbed: false }])
    t.ok((recovery.recovered[0]?.recoveredMs ?? 0) >= 200)
    t.same(tooLate, [])

    await recovery.untilBack('full disk', member().member, backIn(200), { limitMs: 100 })
    t.match(tooLate, [/was itself again only \d+ ms after "full disk"/])

    const disturbed = member()
    const healed = await recovery.begin('reset', disturbed.member)
    await recovery.untilBack('full disk', disturbed.member, backIn(200), { limitMs: 100 })
    t.equal(tooLate.length, 1)
    t.match(recovery.recovered.at(-1), { kind: 'full disk', isDisturbed: true })
    const within = { limitMs: 100, isWithinFault: true }
    await recovery.untilBack('reset', disturbed.member, backIn(200), within)
    t.equal(tooLate.length, 2, 'the fault is no excuse for what is promised while it is under way')
    healed()
    await recovery.settled()
  },
)
