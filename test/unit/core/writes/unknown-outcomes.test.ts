/** What is remembered of direct writes whose outcome is unknown, for a pending write of their key. */
import t from 'tap'
import type { Base, PendingWrite } from '../../../../src/core/entry.js'
import { type DirectWrite, PendingWrites } from '../../../../src/core/writes/pending-writes.js'

const epoch = '1-00000001'
const unseen: Base = { kind: 'unseen', mark: undefined }
const direct: DirectWrite = {
  value: '"direct"',
  mediaType: undefined,
  base: unseen,
  epoch,
  expiresAtMs: undefined,
}
const write: PendingWrite = {
  key: 'k',
  value: '"kept"',
  base: unseen,
  epoch,
  mayHaveHappened: false,
  outcomes: [],
}

function pendingWrites() {
  return new PendingWrites({ capacity: 10, maxBytes: 1_000_000 })
}

t.test('a pending write takes over the outcomes of its key, which are counted once', async (t) => {
  const pending = pendingWrites()
  pending.sentInVain('k', direct)
  t.ok(pending.unknownBytes > 0)
  pending.keep('k', write)
  t.equal(pending.unknownBytes, 0)
  t.match(pending.get('k')?.outcomes, [{ value: '"direct"' }])
  pending.keep('k', { ...write, value: '"later"' })
  t.equal(pending.get('k')?.outcomes.length, 1)
})
