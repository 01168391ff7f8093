/** Tests of direct writes with unknown outcomes, which a pending write of the same key takes over. */
import t from 'tap'
import type { Base, PendingWrite } from '../../../../src/core/entry.js'
import {
  type DirectWrite,
  PendingWrites,
  pendingBytes,
  sentWrite,
} from '../../../../src/core/writes/pending-writes.js'

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

t.test('a direct write of unknown outcome is a doubt about the pending write of its key', async (t) => {
  const pending = pendingWrites()
  pending.keep('k', write)
  pending.sentInVain('k', direct)
  t.equal(pending.get('k')?.mayHaveHappened, true)
  pending.keep('k', { ...write, value: '"later"' })
  t.match(pending.get('k'), { value: '"later"', outcomes: [{ value: '"direct"' }], mayHaveHappened: false })
})

t.test('outcomes are forgotten with the pending write, and with the history', async (t) => {
  for (const forget of [
    (pending: PendingWrites) => pending.drop('k'),
    (pending: PendingWrites) => pending.historyChanged(),
  ]) {
    const pending = pendingWrites()
    pending.sentInVain('k', direct)
    forget(pending)
    t.equal(pending.unknownBytes, 0)
    pending.keep('k', write)
    t.strictSame(pending.get('k')?.outcomes, [])
  }
})

t.test('the size of a pending write counts its key and its groups', async (t) => {
  const bytes = pendingBytes({ ...write, key: '' })
  t.ok(bytes >= 256)
  t.ok(pendingBytes({ ...write, key: 'x'.repeat(100) }) >= bytes + 100)
  t.ok(pendingBytes({ ...write, key: '', groups: ['x'.repeat(100), 'y'.repeat(100)] }) >= bytes + 200)
})

t.test('a row may have expired at the earlier of the times that are known', async (t) => {
  const mayHaveExpired = (nowMs: number, outcomesExpireAtMs?: number, expiresAtMs?: number) => {
    const base: Base = { kind: 'held', version: '1', value: '"1"', expiresAtMs }
    return sentWrite({ ...write, base, outcomesExpireAtMs }, nowMs).mayHaveExpired
  }
  t.equal(mayHaveExpired(999, 1_000, 2_000), false)
  t.equal(mayHaveExpired(1_000, 1_000, 2_000), true)
  t.equal(mayHaveExpired(1_000, 2_000, 1_000), true)
  t.equal(mayHaveExpired(1_000, undefined, 1_000), true)
  t.equal(mayHaveExpired(1_000, 1_000), true)
  t.equal(mayHaveExpired(1_000), false)
})
