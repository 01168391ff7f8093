import t from 'tap'
import { FeedLog } from '../../../../src/core/feed/feed-log.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { recordingLog } from '../../../support/recording-log.js'

t.test('each state is logged with its reason and the duration of the one before', async (t) => {
  const clock = new DrivenClock()
  const { log, logged } = recordingLog()
  const feed = new FeedLog(clock, log)
  clock.advance(250)
  feed.catchingUp('connected and listening')
  clock.advance(12.4)
  feed.live({ epoch: '1-00000000', entries: 3 })
  clock.advance(60_000)
  feed.lost('cable cut')
  const reason = 'all entries have been compared with the database'
  t.same(logged, [
    {
      level: 'info',
      fields: { reason: 'connected and listening', was: 'down', forMs: 250 },
      message: 'change feed catching up',
    },
    {
      level: 'info',
      fields: { reason, was: 'catching-up', forMs: 12, epoch: '1-00000000', entries: 3 },
      message: 'change feed live',
    },
    {
      level: 'warn',
      fields: { reason: 'cable cut', was: 'live', forMs: 60_000 },
      message: 'change feed lost',
    },
  ])
  t.match(feed.transitions, [
    { number: 1, state: 'catching-up', was: 'down', forMs: 250 },
    { number: 2, state: 'live', reason, was: 'catching-up', forMs: 12, entries: 3 },
    { number: 3, state: 'down', reason: 'cable cut', was: 'live', forMs: 60_000 },
  ])
})

t.test('what may be shown in public names nothing, and only the last changes are remembered', async (t) => {
  const feed = new FeedLog(new DrivenClock(), recordingLog().log)
  for (let times = 0; times < 100; times++) feed.lost('no connection to db.example', 'no connection')
  t.equal(feed.transitions.length, 50)
  t.match(feed.transitions.at(-1), { number: 100, reason: /^no connection$/ })
})

t.test('a rest is logged with the setting that causes it', async (t) => {
  const clock = new DrivenClock()
  const { log, logged } = recordingLog()
  const feed = new FeedLog(clock, log)
  clock.advance(500)
  feed.idle()
  const reason = 'no requests for CACHE_IDLE_AFTER_MS'
  t.strictSame(logged, [
    { level: 'info', fields: { reason, was: 'down', forMs: 500 }, message: 'change feed idle' },
  ])
  t.match(feed.transitions, [{ state: 'idle', reason }])
})
