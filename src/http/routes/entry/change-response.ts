import { entryTag } from '../../../core/state/entry-tag.js'
import type { ChangeResult } from '../../../core/writes/write-result.js'
import { problemResponse } from '../problem.js'
import type { PlainResponse } from '../response.js'
import { unmet } from './entry-response.js'
import { refusals } from './fill-lease.js'

const kept: PlainResponse = {
  status: 202,
  headers: ['Content-Type', 'application/json; charset=utf-8'],
  body: '{"pending":true}',
  source: 'kept',
}

/**
 * Returns the response to a PUT. It has an ETag only if a read returns exactly the bytes that were received (RFC 9110,
 * section 9.3.4).
 */
export function putResponse(result: ChangeResult, isExact: boolean): PlainResponse {
  if (result.kind === 'kept') return kept
  if (result.kind === 'unmet') {
    const problem = result.refusal ? refusals[result.refusal] : unmet
    return { ...problemResponse(problem), source: 'db' }
  }
  const { existed, token, written } = result
  const tag = isExact && written ? ['ETag', `"${entryTag(written)}"`] : []
  return { status: existed ? 204 : 201, headers: ['Cache-Token', token, ...tag], body: '', source: 'db' }
}

/** Returns the response to a DELETE. */
export function deleteResponse(result: ChangeResult): PlainResponse {
  if (result.kind === 'kept') return kept
  if (result.kind === 'unmet') return { ...problemResponse(unmet), source: 'db' }
  const headers = ['Cache-Token', result.token]
  return result.existed
    ? { status: 204, headers, body: '', source: 'db' }
    : { ...problemResponse({ status: 404, detail: 'Key not found' }, headers), source: 'db' }
}
