import type { Config } from './config.js'
import { ConfigError } from './config-error.js'

/** A listener on TCP, before it is started. */
export interface PlannedListener {
  /** Setting or option that the port comes from. */
  readonly name: string
  readonly host: string
  readonly port: number
}

/** Returns the listeners of a sidecar that have a port. */
export function plannedListeners({ socket, host, port, opsHost, opsPort }: Config): PlannedListener[] {
  const data = socket === undefined ? [{ name: 'PORT', host, port }] : []
  return [...data, { name: 'OPS_PORT', host: opsHost, port: opsPort }]
}

/**
 * Throws ConfigError if two of the listeners have the same address. The second one would fail, and blame another
 * process for it. Only for commands that start these listeners: a client of one listener does not need the other port.
 */
export function refuseSharedPorts(listeners: readonly PlannedListener[]): void {
  for (const [index, one] of listeners.entries()) {
    const { port } = one
    const other = listeners.slice(index + 1).find((later) => later.port === port && overlap(one, later))
    if (port !== 0 && other !== undefined)
      throw new ConfigError(`${one.name}, ${other.name}: both are ${port}; set different ports`)
  }
}

/** Returns true if the hosts of the listeners have an address in common. Names are not resolved. */
function overlap(one: PlannedListener, other: PlannedListener): boolean {
  const [first, second] = [addresses(one.host), addresses(other.host)]
  return first.some((address) => second.some((its) => includes(address, its) || includes(its, address)))
}

function addresses(host: string): readonly string[] {
  return host === 'localhost' ? ['127.0.0.1', '::1'] : [host.replace(/^::ffff:/i, '')]
}

function includes(address: string, other: string): boolean {
  return address === other || address === '::' || (address === '0.0.0.0' && /^[\d.]+$/.test(other))
}
