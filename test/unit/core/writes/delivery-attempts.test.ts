import t from 'tap'
import { CacheError } from '../../../../src/core/errors.js'
import { DeliveryAttempts } from '../../../../src/core/writes/delivery-attempts.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { recordingLog } from '../../../support/recording-log.js'

const locked = new CacheError('row-locked', 'a lock')
const gone = new CacheError('store-unavailable', 'no connection')

function attemptsAt(clock: DrivenClock) {
  const { log, logged } = recordingLog()
  const attempts = new DeliveryAttempts(clock, log)
  /** Returns how long it takes until the next attempt is due. */
  const pauseMs = () => {
    let passedMs = 0
    for (; !attempts.isDue; passedMs += 500) clock.advance(500)
    return passedMs
  }
  return { attempts, logged, pauseMs }
}

t.test('pauses after errors of the database double up to a bound', async (t) => {
  const { attempts, pauseMs } = attemptsAt(new DrivenClock())
  t.ok(attempts.isDue, 'the first attempt is due at once')
  const pauses = Array.from({ length: 7 }, () => {
    attempts.ended(locked, 1)
    t.equal(attempts.obstacle, 'row-locked')
    return pauseMs()
  })
  t.strictSame(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
  attempts.ended(undefined, 0)
  t.equal(attempts.obstacle, undefined)
  t.ok(attempts.isDue)
  attempts.ended(locked, 1)
  t.equal(pauseMs(), 1_000, 'a success ends the doubling')
})

t.test('an unavailable database is tried again at the next contact', async (t) => {
  const { attempts, logged } = attemptsAt(new DrivenClock())
  attempts.ended(locked, 1)
  attempts.ended(gone, 1)
  t.equal(attempts.obstacle, 'store-unavailable')
  t.ok(attempts.isDue)
  t.equal(logged.length, 1, 'it is no obstacle to report')
  attempts.ended(new Error('a mistake of ours'), 1)
  t.equal(attempts.obstacle, undefined)
})

t.test('an obstacle is logged once a minute, and so is a failure at a contact', async (t) => {
  const clock = new DrivenClock()
  const { attempts, logged } = attemptsAt(clock)
  for (let second = 0; second < 60; second++) {
    attempts.ended(locked, 7)
    attempts.unsent(gone)
    clock.advance(1_000)
  }
  const lines = [
    {
      level: 'warn',
      fields: { pending: 7, reason: 'a lock' },
      message: 'pending writes cannot be delivered',
    },
    { level: 'warn', fields: { err: gone }, message: 'pending writes could not be sent yet' },
  ]
  t.strictSame(logged, lines)
  attempts.ended(locked, 7)
  attempts.unsent(gone)
  t.strictSame(logged, [...lines, ...lines])
})
