import t from 'tap'
import type { Change } from '../../../src/core/entry.js'
import type { ChangeFeed, ChangeFeedHandler, FeedSession } from '../../../src/core/ports.js'
import { ChangeFollower } from '../../../src/tools/audit/change-follower.js'

/** A follower of a feed that the test drives. `onStart` is what the feed does when it is started. */
function following(onStart: (handler: ChangeFeedHandler) => void) {
  const calls: string[] = []
  let handler: ChangeFeedHandler | undefined
  const feed = {
    start: async (given: ChangeFeedHandler) => {
      handler = given
      onStart(given)
    },
    close: async () => void calls.push('closed'),
  }
  const follower = new ChangeFollower({
    feed: feed as unknown as ChangeFeed,
    onChange: (change) => void calls.push(`change ${JSON.stringify(change)}`),
    onLost: (reason) => void calls.push(`lost: ${reason}`),
    onBack: () => void calls.push('back'),
  })
  return { follower, calls, handler: () => handler as ChangeFeedHandler }
}

const change = { key: 'k' } as unknown as Change

function sessionOf(calls: string[]): FeedSession {
  const roundTrip = async () => {
    calls.push('round trip')
    return 1
  }
  return { roundTrip } as unknown as FeedSession
}

t.test('a feed that cannot be started is closed, and the error says why', async (t) => {
  const cause = new Error('no such host')
  const failed = following(({ lost }) => lost('gone', undefined, cause))
  await t.rejects(failed.follower.start(), cause)
  t.strictSame(failed.calls, ['closed'], 'nothing was lost')
  const without = following(({ lost }) => lost('no listening session', undefined, undefined))
  await t.rejects(without.follower.start(), { message: 'no listening session' })
})

t.test('changes are followed while there is a session', async (t) => {
  const { follower, calls, handler } = following(() => undefined)
  const starting = follower.start()
  handler().changed(change)
  await t.rejects(starting)
  t.strictSame(calls, ['closed'], 'a change without a session counts for nothing')

  const live = following(({ listening }) => void listening(0, sessionOf(live.calls)))
  await live.follower.start()
  live.handler().changed(change)
  await live.follower.caughtUp()
  t.strictSame(live.calls, ['change {"key":"k"}', 'round trip'], 'it was not lost, so it is not back')
})

t.test('a loss is told once, and so is its end', async (t) => {
  const { follower, calls, handler } = following(({ listening }) => void listening(0, sessionOf([])))
  await follower.start()
  handler().lost('one', undefined, undefined)
  handler().lost('two', undefined, undefined)
  handler().changed(change)
  await t.rejects(follower.caughtUp(), { message: 'no change feed' })
  await handler().listening(0, sessionOf(calls))
  handler().changed(change)
  await follower.caughtUp()
  t.strictSame(calls, ['lost: one', 'back', 'change {"key":"k"}', 'round trip'])
})
