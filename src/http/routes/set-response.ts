import type { WriteResult } from '../../core/writes/write-result.js'
import type { PlainResponse } from './response.js'
import { expiryMember } from './ttl-seconds.js'

const json = ['Content-Type', 'application/json; charset=utf-8']

/** Returns the response to a set. A token needs no escaping, neither in a header nor in JSON. */
export function setResponse(result: WriteResult): PlainResponse {
  const expiry = expiryMember(result.expiresInMs)
  if (!result.written)
    return { status: 200, headers: json, body: `{"ok":true,"db_written":false${expiry}}`, source: 'kept' }
  const { token } = result
  return {
    status: 200,
    headers: ['Cache-Token', token, ...json],
    body: `{"ok":true,"db_written":true,"token":"${token}"${expiry}}`,
    source: 'db',
  }
}
