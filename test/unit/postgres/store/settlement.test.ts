import t from 'tap'
import type { SentWrite } from '../../../../src/core/ports.js'
import {
  committedSettlements,
  settlementsOf,
  settleNeeds,
} from '../../../../src/postgres/store/settlement.js'

const sent = (key: string, more: object = {}) =>
  ({ key, value: '1', base: { kind: 'none' }, ...more }) as unknown as SentWrite

t.test('the statement needs no more rights than the writes do', async (t) => {
  const none = { withMarks: false, withDeletes: false, withTtl: false }
  t.strictSame(settleNeeds([sent('a')]), none)
  t.strictSame(settleNeeds([sent('a', { base: { kind: 'unseen' } })]), none)
  t.strictSame(settleNeeds([sent('a'), sent('b', { base: { kind: 'unseen', mark: 'm' } })]), {
    ...none,
    withMarks: true,
  })
  t.strictSame(settleNeeds([sent('a'), sent('b', { value: undefined })]), { ...none, withDeletes: true })
  t.strictSame(settleNeeds([sent('a'), sent('b', { ttlMs: 1 })]), { ...none, withTtl: true })
})

t.test('a row that was returned was written or deleted', async (t) => {
  const settled = settlementsOf([
    { key: 'a', version: '7', epoch: 'e' },
    { key: 'b', version: null, epoch: 'e' },
  ])
  t.strictSame(
    [...settled],
    [
      ['a', { kind: 'written', written: { version: '7', epoch: 'e' } }],
      ['b', { kind: 'written', written: undefined }],
    ],
  )
})

t.test('of a committed transaction, a row that somebody has written since is a conflict', async (t) => {
  const gone = { value: undefined }
  const row = (key: string, isWritten: boolean) => ({ key, version: '7', epoch: 'e', is_written: isWritten })
  const settled = committedSettlements(
    [sent('ours'), sent('theirs'), sent('deleted'), sent('gone', gone), sent('back', gone)],
    [row('ours', true), row('theirs', false), row('back', false)],
  )
  t.strictSame(
    [...settled],
    [
      ['ours', { kind: 'written', written: { version: '7', epoch: 'e' } }],
      ['theirs', { kind: 'conflict' }],
      ['deleted', { kind: 'conflict' }],
      ['gone', { kind: 'written', written: undefined }],
      ['back', { kind: 'conflict' }],
    ],
  )
})
