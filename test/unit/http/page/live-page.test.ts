import type { IncomingMessage } from 'node:http'
import { hostname } from 'node:os'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { ChangeLog } from '../../../../src/core/changes/change-log.js'
import type { FeedTransition } from '../../../../src/core/feed/feed-log.js'
import { Histogram } from '../../../../src/core/histogram.js'
import type { MemoryUse } from '../../../../src/core/state/memory-use.js'
import { Stats } from '../../../../src/core/stats.js'
import type { CacheStatus } from '../../../../src/core/status.js'
import { cures } from '../../../../src/http/ops/page/cures.js'
import { LivePage, type LivePageSources } from '../../../../src/http/ops/page/live-page.js'
import type { PageEvents } from '../../../../src/http/ops/page/page-data.js'
import { sampleColumns } from '../../../../src/http/ops/page/sampler.js'
import { RequestStats } from '../../../../src/telemetry/request-stats.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { RecordedResponse } from '../../../support/recorded-response.js'

const unixMs = 1_700_000_000_000

function started(t: Test, more: Partial<LivePageSources> = {}) {
  mock.timers.enable({ apis: ['setInterval', 'Date'], now: unixMs })
  t.teardown(() => mock.timers.reset())
  const clock = new DrivenClock()
  const changeLog = new ChangeLog()
  const transitions: FeedTransition[] = []
  const status = { feed: 'live', leaseAgeMs: 12.6, size: 3, pendingWrites: 1, stats: new Stats() }
  const page = new LivePage({
    version: '1.2.3',
    clock,
    changeLog,
    keys: 'on',
    isOwn: () => true,
    isBound: () => false,
    status: () => status as CacheStatus,
    readiness: () => ({ status: 'degraded', reasons: [{ cause: 'pending-writes', text: 'a reason' }] }),
    limits: () => ({ capacity: 1_000, maxStalenessMs: 3_000 }),
    memory: () => ({ entries: { bytes: 1, limitBytes: 2 } }) as unknown as MemoryUse,
    requests: new RequestStats(),
    eventLoopDelay: new Histogram([1]),
    feedTransitions: () => transitions,
    token: undefined,
    hasWrites: true,
    ...more,
  })
  page.start()
  t.teardown(() => page.close())
  const pass = (ms: number) => {
    clock.advance(ms)
    mock.timers.tick(ms)
  }
  const open = (remoteAddress = '127.0.0.1') => {
    const response = new RecordedResponse()
    page.open({ rawHeaders: [], socket: { remoteAddress } } as unknown as IncomingMessage, response.response)
    return response
  }
  return { page, clock, changeLog, transitions, status, pass, open }
}

const openingOf = (response: RecordedResponse) =>
  response.taken().find(({ name }) => name === 'open')?.data as unknown as PageEvents['open']
const namesOf = (response: RecordedResponse) => response.taken().map(({ name }) => name)

t.test('a page gets the whole state first', async (t) => {
  const { open, pass } = started(t)
  pass(500)
  t.match(openingOf(open()), {
    version: '1.2.3',
    host: hostname(),
    sampleIntervalMs: 2_000,
    columns: sampleColumns,
    history: { length: 0 },
    keys: 'on',
    needsToken: false,
    mayWrite: true,
    overview: {
      upMs: 500,
      status: 'degraded',
      reasons: [{ text: 'a reason', cure: cures['pending-writes'] }],
      feed: 'live',
      leaseAgeMs: 13,
      maxStalenessMs: 3_000,
      entries: 3,
      capacity: 1_000,
      pendingWrites: 1,
      memory: { entries: { bytes: 1, limitBytes: 2 } },
    },
  })
})

t.test('before the first proof, no age of the lease is shown', async (t) => {
  const { status, open } = started(t)
  status.leaseAgeMs = Number.POSITIVE_INFINITY
  t.equal(openingOf(open()).overview.leaseAgeMs, null)
})

t.test('whoever may not see keys sees none, and cannot write', async (t) => {
  const { changeLog, open } = started(t)
  changeLog.changed('private', '1')
  const refused = open('10.1.2.3')
  t.match(openingOf(refused), {
    keys: 'refused',
    mayWrite: false,
    changes: { rows: { length: 0 }, skipped: 0 },
  })
  t.match(openingOf(open()), { changes: { rows: [{ key: 'private' }] } })
  t.strictSame(refused.taken(), [])
})

t.test('a page of a sidecar without writes cannot write', async (t) => {
  const { open } = started(t, { hasWrites: false })
  t.match(openingOf(open()), { keys: 'on', mayWrite: false })
})

t.test('changes are sent twice a second, while a page shows them', async (t) => {
  const { changeLog, pass, open } = started(t)
  const page = open()
  page.taken()
  changeLog.changed('a', '1')
  pass(499)
  t.strictSame(namesOf(page), [])
  pass(1)
  t.match(page.taken(), [{ name: 'changes', data: { rows: [{ key: 'a', atMs: unixMs + 500 }], skipped: 0 } }])
  pass(500)
  t.strictSame(namesOf(page), [], 'each is sent once')
})

t.test('while no page shows changes, they are only looked at with each sample', async (t) => {
  const { changeLog, pass, open } = started(t)
  changeLog.changed('a', '1')
  pass(1_999)
  changeLog.changed('b', '1')
  pass(1)
  const { rows } = openingOf(open()).changes
  t.strictSame(
    rows.map(({ key, atMs }) => [key, atMs]),
    [
      ['a', unixMs + 2_000],
      ['b', unixMs + 2_000],
    ],
  )
})

t.test('of many changes at once, the last 50 are sent, and the others are counted', async (t) => {
  const { changeLog, pass, open } = started(t)
  const page = open()
  page.taken()
  for (let number = 1; number <= 51; number++) changeLog.changed(`k${number}`, '1')
  const sent = () => {
    pass(500)
    return page.taken()[0]?.data as unknown as PageEvents['changes']
  }
  const { rows, skipped } = sent()
  t.strictSame([rows.length, rows.at(-1)?.key, skipped], [50, 'k51', 1])
  // If there are more than 200, the older ones are not looked at.
  for (let number = 1; number <= 251; number++) changeLog.changed(`k${number}`, '1')
  t.equal(sent().skipped, 201)
})

t.test('every two seconds, all pages get a sample, which a later page finds in the history', async (t) => {
  const { pass, open } = started(t)
  const pages = [open(), open('10.1.2.3')]
  for (const page of pages) page.taken()
  pass(2_000)
  for (const page of pages)
    t.match(page.taken(), [
      { name: 'sample', data: { sample: [unixMs / 1_000 + 2], overview: { upMs: 2_000 } } },
    ])
  pass(15 * 60_000)
  const { history } = openingOf(open())
  t.equal(history.length, 450, 'of the last 15 minutes')
  t.equal(history.at(-1)?.[0], unixMs / 1_000 + 902)
})

t.test('a change of the state of the feed is sent once, with a Unix time', async (t) => {
  const { clock, transitions, pass, open } = started(t)
  const happened = (number: number) =>
    transitions.push({ number, atMs: clock.now() + 0.4, state: 'live', was: 'down', forMs: 5, reason: 'r' })
  happened(1)
  pass(1_000)
  const page = open('10.1.2.3')
  const shown = { atMs: unixMs, state: 'live', was: 'down', forMs: 5, reason: 'r' }
  t.strictSame(openingOf(page).feed, [shown])
  happened(2)
  pass(1_000)
  const [sample, feed] = page.taken()
  t.equal(sample?.name, 'sample')
  t.strictSame(feed, { id: undefined, name: 'feed', data: [{ ...shown, atMs: unixMs + 1_000 }] })
  pass(2_000)
  t.strictSame(namesOf(page), ['sample'])
})

t.test('several changes of the state of the feed at once are sent together, and once', async (t) => {
  const { transitions, open, pass } = started(t)
  const page = open()
  page.taken()
  for (const number of [1, 2])
    transitions.push({ number, atMs: 0, state: 'down', reason: '', was: 'live', forMs: 0 })
  pass(500)
  t.match(page.taken(), [{ name: 'feed', data: { length: 2 } }])
  pass(500)
  t.strictSame(namesOf(page), [])
})

t.test('a hundred pages are as many as may be open', async (t) => {
  const { page, open } = started(t)
  for (let count = 0; count < 99; count++) open()
  t.equal(page.isFull, false)
  open()
  t.equal(page.isFull, true)
})

t.test('after the end, streams are over and no timer runs', async (t) => {
  const { page, changeLog, pass, open } = started(t)
  const stream = open()
  stream.taken()
  page.close()
  t.equal(stream.isEnded, true)
  changeLog.changed('a', '1')
  pass(10_000)
  t.strictSame(openingOf(open()).history, [])
})

t.test('each change of the state of the feed is sent once', async (t) => {
  const { transitions, open, pass } = started(t)
  const page = open()
  pass(2_000)
  page.taken()
  for (const number of [1, 2]) {
    transitions.push({ number, atMs: 0, state: 'down', reason: '', was: 'live', forMs: 0 })
    pass(500)
    t.match(
      namesOf(page).filter((name) => name === 'feed'),
      { length: 1 },
    )
    for (let tick = 0; tick < 4; tick++) pass(500)
    t.match(
      namesOf(page).filter((name) => name === 'feed'),
      { length: 0 },
    )
  }
})
