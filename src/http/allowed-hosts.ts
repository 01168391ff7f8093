import { isIP } from 'node:net'
import { headerOf } from './raw-headers.js'

/** Whether a request, by its raw headers, was meant for this service. */
export type HostCheck = (rawHeaders: readonly string[]) => boolean

/**
 * Against DNS rebinding: a page of `evil.example`, whose name its owner points at 127.0.0.1, is of one origin with whatever
 * listens there, and its browser sends `Host: evil.example`. An address has no owner who could point it elsewhere, so
 * every IP literal passes, and with it whoever asks by a pod's IP. No Host at all (HTTP/1.0) is no browser.
 *
 * Undefined where `*` is among the names: there is nothing to check.
 */
export function allowedHosts(names: readonly string[]): HostCheck | undefined {
  if (names.includes('*')) return undefined
  const allowed = new Set(names.map((name) => name.toLowerCase()))
  // Clients say the same every time.
  let lastAllowed: string | undefined
  return (rawHeaders) => {
    const host = headerOf(rawHeaders, 'host')
    if (host === lastAllowed || host === undefined) return true
    const name = nameIn(host)
    if (isIP(name) === 0 && !allowed.has(name)) return false
    lastAllowed = host
    return true
  }
}

/** Without the port, and without the brackets of an IPv6 address. */
function nameIn(host: string): string {
  const [, address, name] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? []
  return (address ?? name ?? '').toLowerCase()
}
