import t, { type Test } from 'tap'
import { Attempts } from '../../../src/postgres/pool/attempts.js'
import { connectFailed, connectionLost, statementFailed } from '../../../src/postgres/pool/errors.js'
import { databaseError } from '../../support/database-error.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { recordedPauses } from '../../support/recorded-pauses.js'
import { recordingLog } from '../../support/recording-log.js'

const undone = statementFailed(databaseError('40001'), 'write')
const lost = connectionLost(new Error('Connection terminated unexpectedly'), 'write')
const refused = statementFailed(databaseError('23505'), 'write')

/** Attempts whose pauses take no time but that of the clock, with this number for each random one. */
function attemptsOf(t: Test, { timeoutMs = 1_000_000, random = 1 } = {}) {
  t.intercept(Math, 'random', { value: () => random })
  const clock = new DrivenClock()
  const pauses = recordedPauses(t, (ms) => clock.advance(ms))
  const attempts = new Attempts({ clock, log: recordingLog().log, timeoutMs })
  return { attempts, clock, pauses }
}

/** An attempt that fails so many times. */
function failing(times: number, error: Error = undone) {
  let count = 0
  return async () => {
    if (count++ < times) throw error
    return 'done'
  }
}

for (const [random, share] of [
  [1, 1],
  [0, 0.5],
] as const)
  t.test(
    `pauses before retries double from 20 ms to 500 ms; ${share} of them if ${random} is drawn`,
    async (t) => {
      const { attempts, pauses } = attemptsOf(t, { random })
      t.equal(await attempts.run(failing(7)), 'done')
      t.strictSame(
        pauses,
        [20, 40, 80, 160, 320, 500, 500].map((ms) => ms * share),
      )
      t.equal(attempts.status().retries, 7)
    },
  )

t.test('the last attempt begins after half of the time at most', async (t) => {
  for (const [timeoutMs, expected] of [
    [600, [20, 40, 80, 160]],
    [598, [20, 40, 80]],
  ] as const) {
    const { attempts, pauses } = attemptsOf(t, { timeoutMs })
    await t.rejects(attempts.run(failing(100)), undone)
    t.strictSame(pauses, expected)
    t.equal(attempts.status().retries, expected.length)
  }
})

t.test('who may have one conflict is retried once', async (t) => {
  const { attempts, pauses } = attemptsOf(t)
  await t.rejects(attempts.run(failing(100), 1), undone)
  t.strictSame(pauses, [20])
})

t.test('a server that cannot be reached is no conflict', async (t) => {
  const { attempts, pauses } = attemptsOf(t)
  const unavailable = connectFailed(new Error('connect ECONNREFUSED'))
  t.equal(await attempts.run(failing(3, unavailable), 0), 'done')
  t.strictSame(pauses, [20, 40, 80])
})

t.test('a row that is locked is not retried, and its error does not come at once', async (t) => {
  const { attempts, pauses } = attemptsOf(t)
  const locked = statementFailed(databaseError('55P03'), 'write')
  await t.rejects(attempts.run(failing(1, locked)), locked)
  t.strictSame(pauses, [20])
  await t.rejects(attempts.run(failing(1, refused)), refused)
  t.strictSame(pauses, [20])
  t.equal(attempts.status().retries, 0)
})

t.test('after five failures to reach the server, one statement is sent a second later', async (t) => {
  const { attempts, clock } = attemptsOf(t)
  for (let count = 0; count < 5; count++) await t.rejects(attempts.run(failing(1, lost)), lost)
  clock.advance(999)
  await t.rejects(attempts.run(failing(0)), { message: /a moment ago/ })
  t.equal(attempts.status().refused, 1)
  clock.advance(1)
  t.equal(await attempts.run(failing(0)), 'done')
  t.match(attempts.status(), { breaker: 'closed', refused: 1 })
})

t.test('an answer between failures shows that the server is reached', async (t) => {
  for (const answer of [failing(0), failing(1, refused)]) {
    const { attempts } = attemptsOf(t)
    for (let count = 0; count < 4; count++) await t.rejects(attempts.run(failing(1, lost)))
    await attempts.run(answer).catch(() => undefined)
    await t.rejects(attempts.run(failing(1, lost)))
    t.equal(attempts.status().breaker, 'closed')
  }
})
