import type { IncomingMessage } from 'node:http'
import type { BearerToken } from '../../../access/bearer-token.js'
import { headerOf } from '../../../access/raw-headers.js'
import { problemResponse } from '../../../routes/problem.js'
import type { PlainResponse } from '../../../routes/response.js'
import { maySeeKeys } from '../page-access.js'
import { crossSite, noToken } from '../views/view-access.js'

const notJson = problemResponse({ status: 415, detail: 'Content-Type must be application/json' })

/**
 * Returns the response to a client that may not change keys; undefined if it may. The token is what protects: a page of
 * another site does not know it. The other two checks hold even if a user was made to give it away: such a page cannot
 * send JSON without a preflight, which is never allowed, nor pretend to be of this origin.
 */
export function refusalOfWrite(request: IncomingMessage, token: BearerToken): PlainResponse | undefined {
  const { rawHeaders } = request
  if (!isOfThisOrigin(rawHeaders)) return crossSite
  if (!maySeeKeys(request, token)) return noToken
  if (!/^application\/json *(;|$)/i.test(headerOf(rawHeaders, 'content-type') ?? '')) return notJson
  return undefined
}

/**
 * Returns false for a request of a page that is not of this origin. Browsers send `Sec-Fetch-Site` to hosts that they
 * trust, such as loopback and those with TLS, and `Origin` with every POST. Behind a proxy that changes `Host`, only the
 * first of them can tell. Clients that are no browsers send neither.
 */
function isOfThisOrigin(rawHeaders: readonly string[]): boolean {
  const site = headerOf(rawHeaders, 'sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  const origin = headerOf(rawHeaders, 'origin')
  if (origin === undefined) return true
  return origin.replace(/^https?:\/\//i, '').toLowerCase() === headerOf(rawHeaders, 'host')?.toLowerCase()
}
