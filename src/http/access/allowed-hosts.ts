import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { problemResponse } from '../routes/problem.js'
import type { PlainResponse } from '../routes/response.js'
import { absoluteTarget } from './request-target.js'

/** Returns the answer to a request that was not meant for this service; undefined for one that was. */
export type HostCheck = (request: IncomingMessage) => PlainResponse | undefined

const noHost = problemResponse({ status: 400, detail: 'Host: missing' })
const twoHosts = problemResponse({ status: 400, detail: 'Host: given more than once' })
const noUrl = problemResponse({ status: 400, detail: 'URL: neither a path nor an absolute HTTP URL' })
// 421 and not 403, because the name is wrong, whoever asks.
const foreignHost = problemResponse({
  status: 421,
  kind: 'unknown-host',
  detail: 'Host: not a name of this service; use its IP address, or add the name to CACHE_ALLOWED_HOSTS',
})

/**
 * Checks the Host header, as a protection against DNS rebinding. The owner of `evil.example` can let the name resolve
 * to
 * 127.0.0.1. Then a page of `evil.example` has the same origin as anything that listens there, and the browser sends
 * `Host: evil.example`. An IP address cannot be redirected in this way, so all IP literals are allowed, such as a pod's
 * IP. A request without a Host (HTTP/1.0) does not come from a browser, and is allowed.
 *
 * If the names contain `*`, any name is allowed. A target in absolute form is reduced to its path and query.
 */
export function allowedHosts(names: readonly string[]): HostCheck {
  const allowsAny = names.includes('*')
  const allowed = new Set(names.map((name) => name.toLowerCase()))
  const isAllowed = (host: string) => {
    const name = nameIn(host)
    return allowsAny || isIP(name) !== 0 || allowed.has(name)
  }
  // Remembered, because clients send the same Host every time.
  let lastAllowed: string | undefined
  return (request) => {
    const { rawHeaders, url = '' } = request
    let host: string | undefined
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index] as string
      // Comparing lengths first rules out most names.
      if (name.length !== 4 || name.toLowerCase() !== 'host') continue
      if (host !== undefined) return twoHosts
      host = rawHeaders[index + 1] as string
    }
    if (host === undefined && request.httpVersion !== '1.0') return noHost
    if (url.charCodeAt(0) !== slash && url !== '*') {
      const target = absoluteTarget(url)
      if (target === undefined) return noUrl
      request.url = target.originForm
      host = target.host
    }
    if (host === lastAllowed || host === undefined) return undefined
    if (!isAllowed(host)) return foreignHost
    lastAllowed = host
    return undefined
  }
}

const slash = 47

/**
 * Returns the host in lower case, without the port, the brackets of an IPv6 address, and the dot after an absolute
 * name.
 */
function nameIn(host: string): string {
  const [, address, name] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? []
  return (address ?? name?.replace(/\.$/, '') ?? '').toLowerCase()
}
