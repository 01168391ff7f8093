import type { ReadResult } from '../../core/reads/read-result.js'
import { cacheStatus } from './cache-status.js'
import { problemResponse } from './problem.js'
import type { PlainResponse } from './response.js'

/** Returns the response to a GET. The value is JSON text already. `stale` is left out unless it is true. */
export function readResponse(key: string, read: ReadResult): PlainResponse {
  const { value, forwarded, stale, ageMs } = read
  const headers = ['Cache-Status', cacheStatus(read)]
  const from = forwarded === undefined ? (stale ?? 'cache') : 'db'
  if (value === undefined)
    return { ...problemResponse({ status: 404, detail: 'Key not found' }, headers), source: from }
  headers.push('Age', String(Math.floor(ageMs / 1_000)), 'Content-Type', 'application/json; charset=utf-8')
  const source = forwarded === undefined ? 'cache' : 'db'
  const body = `{"key":${JSON.stringify(key)},"value":${value},"source":"${source}"${stale ? ',"stale":true' : ''}}`
  return { status: 200, headers, body, source: from }
}
