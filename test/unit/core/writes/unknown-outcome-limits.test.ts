import t from 'tap'
import type { Base, PendingWrite } from '../../../../src/core/entry.js'
import { type DirectWrite, PendingWrites, pendingBytes } from '../../../../src/core/writes/pending-writes.js'
import { epoch, unseen } from '../../../support/pending-writes.js'

const direct: DirectWrite = { value: '1', mediaType: undefined, base: unseen, epoch, expiresAtMs: undefined }
const write: PendingWrite = {
  key: 'k',
  value: '2',
  base: unseen,
  epoch,
  mayHaveHappened: false,
  outcomes: [],
}
const held: Base = { kind: 'held', version: '7', value: 'x'.repeat(100), mediaType: 'text/plain' }

function pendingWrites(maxBytes = 1_000_000) {
  const pending = new PendingWrites({ capacity: 10, maxBytes })
  /** Keeps a write of the key, and returns the values that its row may have. */
  const outcomesOf = (key: string) => {
    pending.keep(key, { ...write, key })
    return pending.get(key)?.outcomes.map((content) => content?.value)
  }
  return { pending, outcomesOf }
}

t.test('writes of unknown outcome are remembered for 1,000 keys', async (t) => {
  for (const [keys, outcomes] of [
    [1_000, ['1']],
    [1_001, []],
  ] as const) {
    const { pending, outcomesOf } = pendingWrites()
    for (let count = 1; count <= keys; count++) pending.sentInVain(`k${count}`, direct)
    t.strictSame(outcomesOf('k1'), outcomes, `${keys} keys`)
    t.strictSame(outcomesOf(`k${keys}`), ['1'], 'the last one is remembered in any case')
  }
})

t.test('a pending write remembers the last 16 outcomes before it', async (t) => {
  const { pending, outcomesOf } = pendingWrites()
  const send = (first: number, count: number) => {
    for (let value = first; value < first + count; value++)
      pending.sentInVain('k', { ...direct, value: String(value) })
  }
  send(1, 10)
  outcomesOf('k')
  send(11, 10)
  t.strictSame(
    outcomesOf('k'),
    Array.from({ length: 16 }, (_, index) => String(5 + index)),
  )
})

t.test('the size of what is remembered includes the row before it', async (t) => {
  const { pending } = pendingWrites()
  pending.sentInVain('k', direct)
  t.equal(pending.unknownBytes, 1)
  pending.sentInVain('j', { ...direct, base: held })
  t.equal(pending.unknownBytes, 2 + 100 + 'text/plain'.length)
  pending.sentInVain('i', { ...direct, value: undefined })
  t.equal(pending.unknownBytes, 2 + 100 + 'text/plain'.length, 'a delete has no content')
})

t.test('a pending write may take exactly the room that is left', async (t) => {
  const bytes = pendingBytes(write)
  t.equal(pendingWrites(bytes).pending.keep('k', write), true)
  t.equal(pendingWrites(bytes - 1).pending.keep('k', write), false)
})

t.test('a later write of a key with a pending one remembers the outcomes, whatever is held', async (t) => {
  const { pending } = pendingWrites()
  pending.keep('k', write)
  pending.sentInVain('k', direct)
  pending.keep('k', { ...write, value: '3', base: held, groups: ['g'] })
  t.match(pending.get('k'), { value: '3', base: unseen, groups: ['g'], outcomes: [{ value: '1' }] })
})

t.test('the earliest end of a write of unknown outcome is remembered', async (t) => {
  const { pending } = pendingWrites()
  const send = (expiresAtMs: number | undefined) => pending.sentInVain('k', { ...direct, expiresAtMs })
  const end = (value: string) => {
    pending.keep('k', { ...write, value })
    return pending.get('k')?.outcomesExpireAtMs
  }
  for (const expiresAtMs of [undefined, 900, 800, 1_000]) send(expiresAtMs)
  t.equal(end('2'), 800)
  send(850)
  t.equal(end('3'), 800)
  send(700)
  t.equal(end('4'), 700)
})
