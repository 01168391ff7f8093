/** Returns an address at which a listener of this machine answers: of several, the one of IPv4. */
export function reachable(host: string): string {
  return ['localhost', '0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host
}

/** Returns the base URL of such a listener, with an IPv6 address in brackets. */
export function reachableUrl(host: string, port: number): string {
  const address = reachable(host)
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`
}
