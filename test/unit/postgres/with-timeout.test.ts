import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { PublicError } from '../../../src/core/errors.js'
import { withTimeout } from '../../../src/postgres/pool/with-timeout.js'
import { turn } from '../../support/turn.js'

/** Not a hook of all tests: other files may be in the same process. */
function mockTimeouts(t: Test): void {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
}

t.test('work that is done in time has its own outcome', async (t) => {
  mockTimeouts(t)
  t.equal(await withTimeout(1_000, Promise.resolve(7), 'too late'), 7)
  await t.rejects(withTimeout(1_000, Promise.reject(new Error('a mistake')), 'too late'), {
    message: 'a mistake',
  })
})

t.test('other work fails with the reason as it is then, which everybody may see', async (t) => {
  mockTimeouts(t)
  let reason = 'connecting'
  let failure: unknown
  const never = new Promise<never>(() => undefined)
  const waiting = withTimeout(1_000, never, () => reason).catch((error: unknown) => {
    failure = error
  })
  reason = 'listening'
  mock.timers.tick(999)
  await turn()
  t.equal(failure, undefined)
  mock.timers.tick(1)
  await waiting
  t.ok(failure instanceof PublicError)
  t.match(failure, { message: 'listening' })
})

t.test('no timer is left behind', async (t) => {
  mockTimeouts(t)
  let asked = 0
  await withTimeout(1_000, Promise.resolve(), () => {
    asked++
    return 'too late'
  })
  mock.timers.tick(1_000)
  t.equal(asked, 0)
})
