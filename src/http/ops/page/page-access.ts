import type { IncomingMessage } from 'node:http'
import type { BearerToken } from '../../access/bearer-token.js'
import { headerOf, isRepeated } from '../../access/raw-headers.js'

/**
 * Returns true if the client may see keys: it sends the API token, if there is one; otherwise, it connects from this
 * machine or pod. Such a client may read all entries on the data listener, too. A client behind a proxy on this machine
 * is not one of this machine.
 */
export function maySeeKeys(request: IncomingMessage, token: BearerToken | undefined): boolean {
  const { rawHeaders, socket } = request
  if (token)
    return !isRepeated(rawHeaders, 'authorization') && token.isIn(headerOf(rawHeaders, 'authorization'))
  const isForwarded = forwardingHeaders.some((name) => headerOf(rawHeaders, name) !== undefined)
  return !isForwarded && isLoopback(socket.remoteAddress ?? '')
}

const forwardingHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'] as const

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}
