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
})
