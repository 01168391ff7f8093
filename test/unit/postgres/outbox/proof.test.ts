import t from 'tap'
import { proofOf } from '../../../../src/postgres/feed/proof.js'

t.test('a drain counts only if the server of the probe has answered it', async (t) => {
  const row = {
    epoch: '7-0000000a',
    latest: '1',
    fingerprint: 'f',
    database_ms: 1,
    bindings: '',
    prepared: '',
  }
  t.equal(proofOf(row, { epoch: '7-0000000a', sentMs: 5 }).drainedMs, 5)
  t.equal(proofOf(row, { epoch: '7-0000000b', sentMs: 5 }).drainedMs, undefined)
  t.equal(proofOf(row, undefined).drainedMs, undefined)
})
