import type { IncomingMessage } from 'node:http'
import type { BearerToken } from '../../../access/bearer-token.js'
import { headerOf } from '../../../access/raw-headers.js'
import { problemResponse } from '../../../routes/problem.js'
import type { PlainResponse } from '../../../routes/response.js'
import { maySeeKeys } from '../page-access.js'

export const noToken = problemResponse(
  { status: 401, detail: 'Authorization: expected Bearer and the token', kind: 'no-token' },
  ['WWW-Authenticate', 'Bearer'],
)
const notLocal = problemResponse({
  status: 403,
  detail: 'Without CACHE_API_TOKEN, this is shown only on the machine of the sidecar',
  kind: 'not-local',
})
export const crossSite = problemResponse({
  status: 403,
  detail: 'A page of another site may not ask for this',
  kind: 'web-page',
})

/**
 * Returns the response to a client that may not see a view; undefined if it may. A page of another site could not read
 * the answer, but could make a browser on this machine ask for it, which costs the database work.
 */
export function refusalOfView(
  request: IncomingMessage,
  token: BearerToken | undefined,
): PlainResponse | undefined {
  const site = headerOf(request.rawHeaders, 'sec-fetch-site')
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return crossSite
  if (maySeeKeys(request, token)) return undefined
  return token ? noToken : notLocal
}
