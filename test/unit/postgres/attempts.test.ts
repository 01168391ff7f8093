import t from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import { Attempts } from '../../../src/postgres/pool/attempts.js'
import { connectionLost, statementFailed } from '../../../src/postgres/pool/errors.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { recordingLog } from '../../support/recording-log.js'
import { turn } from '../../support/turn.js'

const late = statementFailed(new Error('Query read timeout'), 'read')
const lost = connectionLost(new Error('Connection terminated unexpectedly'), 'write')

function attemptsWith(ping?: () => Promise<void>) {
  const { log, logged } = recordingLog()
  const clock = new DrivenClock()
  const attempts = new Attempts({ clock, log, timeoutMs: 1_000, ...(ping && { ping }) })
  const fail = (error: Error, times = 1) =>
    Promise.allSettled(Array.from({ length: times }, () => attempts.run(() => Promise.reject(error))))
  return { attempts, clock, fail, logged }
}

t.test('one ping at a time asks whether the server still answers after timeouts', async (t) => {
  const pings: { answer: () => void; fail: () => void }[] = []
  const ping = () => new Promise<void>((answer, fail) => pings.push({ answer, fail }))
  const { attempts, fail, logged } = attemptsWith(ping)
  await fail(late, 3)
  t.equal(pings.length, 1)
  pings[0]?.answer()
  await turn()
  for (let count = 1; count <= 5; count++) {
    t.equal(attempts.status().breaker, 'closed', `${count - 1} failed pings`)
    await fail(late)
    t.equal(pings.length, count + 1, 'the ping before has ended')
    pings[count]?.fail()
    await turn()
  }
  t.equal(attempts.status().breaker, 'open')
  t.match(logged, [{ level: 'warn', fields: { reason: late.message } }])
})

t.test('a lost connection needs no ping to count', async (t) => {
  const { attempts, fail } = attemptsWith(async () => void t.fail('a ping was sent'))
  await fail(lost, 5)
  t.equal(attempts.status().breaker, 'open')
})

t.test('without a ping, each timeout is a failure of the server', async (t) => {
  const { attempts, fail } = attemptsWith()
  await fail(late, 4)
  t.equal(attempts.status().breaker, 'closed')
  await fail(late)
  t.equal(attempts.status().breaker, 'open')
})

t.test('the breaker is reported once when it opens, and once when it closes', async (t) => {
  const { attempts, clock, fail, logged } = attemptsWith()
  attempts.reached()
  t.same(logged, [], 'it was closed')
  await fail(lost, 8)
  clock.advance(1_000)
  await fail(lost)
  t.match(attempts.status(), { breaker: 'open', opened: 1, retries: 0 })
  attempts.reached()
  attempts.reached()
  t.same(logged, [
    {
      level: 'warn',
      fields: { reason: lost.message },
      message: 'the database is unreachable: requests no longer wait for it',
    },
    { level: 'info', fields: {}, message: 'the database is reachable again' },
  ])
})

t.test('while the breaker is open, requests fail with the code of the last failure', async (t) => {
  const { attempts, fail } = attemptsWith()
  const refused = { code: 'store-unavailable', isOfWholeStatement: true, message: /a moment ago/ }
  await fail(lost, 5)
  await t.rejects(
    attempts.run(async () => t.fail('no statement is sent')),
    refused,
  )
  const unable = new CacheError('store-suspended', 'too many connections')
  await t.rejects(
    attemptsWith().attempts.run(() => Promise.reject(unable)),
    { ...refused, code: 'store-suspended' },
    'this one is retried until the breaker opens',
  )
})
