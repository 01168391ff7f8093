/** Returns an address at which a listener of this machine can be reached; the IPv4 address if there are several. */
export function connectHost(host: string): string {
  return ['localhost', '0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host
}

/** Returns the base URL of such a listener, with an IPv6 address in brackets. */
export function connectUrl(host: string, port: number): string {
  const address = connectHost(host)
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`
}
