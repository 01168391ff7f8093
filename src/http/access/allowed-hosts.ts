import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { problemResponse } from '../routes/problem.js'
import type { PlainResponse } from '../routes/response.js'
import { absoluteTarget } from './request-target.js'

/** Returns the answer to a request that was not meant for this service; undefined for one that was. */
export type HostCheck = (request: IncomingMessage) => PlainResponse | undefined

const noHost = problemResponse({ status: 400, detail: 'Host: missing' })
const twoHosts = problemResponse({ status: 400, detail: 'Host: given more than once' })
const noUrl = problemResponse({ status: 400, detail: 'URL: not a path, nor an absolute HTTP URL' })
// 421 and not 403: it is the name that is wrong, whoever asks.
const foreignHost = problemResponse({
  status: 421,
  detail: 'Host: no name of this service; ask by address, or add the name to CACHE_ALLOWED_HOSTS',
})

/**
 * Against DNS rebinding: a page of `evil.example`, whose name its owner points at 127.0.0.1, is of one origin with whatever
 * listens there, and its browser sends `Host: evil.example`. An address has no owner who could point it elsewhere, so
 * every IP literal passes, and with it whoever asks by a pod's IP. No Host at all (HTTP/1.0) is no browser.
 *
 * With `*` among the names any name passes. A target in absolute form is reduced to its path and query.
 */
export function allowedHosts(names: readonly string[]): HostCheck {
  const allowsAny = names.includes('*')
  const allowed = new Set(names.map((name) => name.toLowerCase()))
  const isAllowed = (host: string) => {
    const name = nameIn(host)
    return allowsAny || isIP(name) !== 0 || allowed.has(name)
  }
  // Clients say the same every time.
  let lastAllowed: string | undefined
  return (request) => {
    const { rawHeaders, url = '' } = request
    let host: string | undefined
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index] as string
      // Most names are told apart by their length.
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

/** Without the port, the brackets of an IPv6 address, and the dot that ends an absolute name. */
function nameIn(host: string): string {
  const [, address, name] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? []
  return (address ?? name?.replace(/\.$/, '') ?? '').toLowerCase()
}
