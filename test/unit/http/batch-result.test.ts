import t from 'tap'
import type { ConditionalWrite } from '../../../src/core/ports.js'
import { entryTag } from '../../../src/core/state/entry-tag.js'
import type { ChangeResult, DeleteResult, WriteResult } from '../../../src/core/writes/write-result.js'
import {
  changeResult,
  deleteResult,
  failedResult,
  setResult,
  unmetDetail,
} from '../../../src/http/routes/batch/batch-result.js'

const put = { key: 'k', value: '1' } as ConditionalWrite
const remove = { key: 'k', value: undefined } as ConditionalWrite
const token = 'EUIZXDAymVXC'
const pending = { key: 'k', status: 202, pending: true }

t.test('a put that shared its statement', async (t) => {
  t.strictSame(setResult(put, { written: true, token } as WriteResult), { key: 'k', status: 204, token })
  t.strictSame(setResult(put, { written: false } as WriteResult), pending)
})

t.test('a delete that shared its statement', async (t) => {
  const result = (stored: boolean, given?: string) =>
    deleteResult(remove, { stored, token: given } as DeleteResult)
  t.strictSame(result(true, token), { key: 'k', status: 204, token })
  t.strictSame(result(false, token), { key: 'k', status: 404, token })
  t.strictSame(result(false), pending)
})

t.test('a write with a condition has the status that it would have alone', async (t) => {
  const written = { version: '7', epoch: '1-00000001' }
  const result = (write: ConditionalWrite, existed: boolean, more = {}) =>
    changeResult(write, { kind: 'written', existed, token, ...more } as ChangeResult)
  t.strictSame(result(put, false, { written }), {
    ...{ key: 'k', status: 201, token },
    etag: `"${entryTag(written)}"`,
  })
  t.strictSame(result(put, true), { key: 'k', status: 204, token })
  t.strictSame(result(remove, true), { key: 'k', status: 204, token })
  t.strictSame(result(remove, false), { key: 'k', status: 404, token })
  t.strictSame(changeResult(put, { kind: 'unmet' } as ChangeResult), {
    key: 'k',
    status: 412,
    detail: unmetDetail,
  })
  t.strictSame(changeResult(put, { kind: 'kept' } as ChangeResult), pending)
  t.strictSame(changeResult(put, undefined), pending)
})

t.test('a write that fails has the status and the words of its problem', async (t) => {
  t.strictSame(failedResult(put, { status: 503, detail: 'd', kind: 'row-locked', retryAfterSeconds: 1 }), {
    ...{ key: 'k', status: 503, detail: 'd' },
  })
})
