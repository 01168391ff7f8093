import t from 'tap'
import { keyId } from '../../../../src/core/state/key-id.js'
import { liveSidecar } from '../../../support/model-sidecar.js'

t.test('a change of a key is logged for the clients that follow, with its version', async (t) => {
  const { store, feed, cache } = await liveSidecar()
  const { changeLog } = cache.following
  const { last, generation } = changeLog
  const version = store.setBySql('k', '1')
  feed.deliver()
  t.strictSame(changeLog.since(last), [{ number: last + 1, id: keyId('k'), version }])
  t.equal(changeLog.generation, generation, 'it is no gap')
})
