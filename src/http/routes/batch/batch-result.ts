import type { ConditionalWrite } from '../../../core/ports.js'
import { entryTag } from '../../../core/state/entry-tag.js'
import type { ChangeResult, DeleteResult, WriteResult } from '../../../core/writes/write-result.js'
import type { BatchResult } from '../../../http-api.js'
import type { Problem } from '../problem.js'

export const unconditionalDetail =
  'if_match or if_none_match: required, because CACHE_REQUIRE_CONDITIONS is on'
export const unmetDetail = 'the entry is not as if_match or if_none_match requires'

/** Returns the result of a put that shared its statement with others: nobody knows if there was an entry before. */
export function setResult({ key }: ConditionalWrite, result: WriteResult): BatchResult {
  return result.written ? { key, status: 204, token: result.token } : { key, status: 202, pending: true }
}

export function deleteResult({ key }: ConditionalWrite, { stored, token }: DeleteResult): BatchResult {
  return token === undefined
    ? { key, status: 202, pending: true }
    : { key, status: stored ? 204 : 404, token }
}

/** Returns the result of a write or delete, with the status that a request of its own would get. */
export function changeResult(
  { key, value }: ConditionalWrite,
  result: ChangeResult | undefined,
): BatchResult {
  if (result === undefined || result.kind === 'kept') return { key, status: 202, pending: true }
  if (result.kind === 'unmet') return { key, status: 412, detail: unmetDetail }
  const { existed, token, written } = result
  const status = value === undefined ? (existed ? 204 : 404) : existed ? 204 : 201
  return { key, status, token, ...(written && { etag: `"${entryTag(written)}"` }) }
}

export function failedResult({ key }: ConditionalWrite, { status, detail }: Problem): BatchResult {
  return { key, status, detail }
}
