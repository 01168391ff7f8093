import { ConfigError } from './config-error.js'
import type { LoadedConfig } from './load.js'

/**
 * Throws ConfigError if HOST is a name that is set only in the environment. Shells and conda set it to the name of the
 * machine, which would open the data listener to the network. A token, CACHE_ALLOWED_HOSTS, a flag or a file shows that
 * the value is intended.
 */
export function refuseInheritedHost({ config, sources }: LoadedConfig): void {
  const { host, allowedHosts, socket } = config
  const isMeant = hasToken(config) || allowedHosts.length > 0 || sources.host !== 'environment'
  if (socket !== undefined || isMeant || host === 'localhost' || isAddress(host)) return
  throw new ConfigError(
    `HOST=${host} is a name, which shells and conda set to the name of the machine: unset it to listen on ` +
      'localhost, or set CACHE_ALLOWED_HOSTS or a token if others are to reach the data listener by that name',
  )
}

/** Returns a warning if the data listener is open to other machines and requires no token. */
export function openHostWarning(config: LoadedConfig['config']): string | undefined {
  const { host, socket } = config
  if (socket !== undefined || isLoopback(host) || hasToken(config)) return undefined
  return (
    `HOST=${host}: everybody who reaches this address may read and write entries; ` +
    'set CACHE_API_TOKEN, or listen on localhost'
  )
}

function hasToken({ apiToken, apiTokenFile }: LoadedConfig['config']): boolean {
  return apiToken !== undefined || apiTokenFile !== undefined
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^[\d.]+$/.test(host)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(::ffff:)?127\./.test(host)
}
