import t from 'tap'
import type { FeedSession } from '../../../../src/core/ports.js'
import { FollowedSession } from '../../../../src/core/state/followed-session.js'

/** A session that was begun at 100, and the reasons for which it was ended. */
function followed() {
  const reasons: string[] = []
  const session: FeedSession = {
    fingerprint: 'f',
    roundTrip: async () => 0,
    end: (reason) => reasons.push(reason),
  }
  const it = new FollowedSession()
  it.begin(session, 100)
  return { it, session, reasons }
}

t.test('a session is followed from its begin to its end', async (t) => {
  const { it, session } = followed()
  t.equal(new FollowedSession().isOpen, false)
  t.equal(it.isOpen, true)
  t.equal(it.is(session), true)
  t.equal(it.is({ ...session }), false, 'another one is not')
  it.end()
  t.equal(it.isOpen, false)
  t.equal(it.is(session), false)
})

t.test(
  'an answer from another history ends the session if it was asked for during the session',
  async (t) => {
    const { it, reasons } = followed()
    for (const askedMs of [50, 100]) it.foreignHistory(askedMs)
    t.strictSame(reasons, [], 'an answer to an earlier question does not')
    it.foreignHistory(101)
    t.strictSame(reasons, ['the database answers from another history'])
    it.end()
    it.foreignHistory(102)
    t.equal(reasons.length, 1, 'and none does after the end')
  },
)
