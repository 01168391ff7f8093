import type { Environment } from './environment.js'

/** `OPS_PORT` and `OPS_PORT_9025_TCP`, whose value is a URL such as `tcp://10.0.0.1:9025`. */
const urlName = /_PORT(_\d+_(TCP|UDP|SCTP))?$/
const urlValue = /^(tcp|udp|sctp):\/\/\S+:\d+$/
/** `OPS_PORT_9025_TCP_ADDR`. */
const detailName = /_PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)$/
/** `OPS_SERVICE_HOST`, `OPS_SERVICE_PORT` and `OPS_SERVICE_PORT_HTTP`. */
const serviceSuffix = /_SERVICE_(HOST|PORT)(?![A-Z0-9])/

/**
 * Returns the environment without the variables that Kubernetes adds for every Service of the namespace: a Service
 * named `ops` sets `OPS_PORT=tcp://10.0.0.1:9025`, and one named `cache` sets `CACHE_PORT` and seven more. Docker's old
 * links look the same.
 */
export function withoutServiceLinks(environment: Environment): Environment {
  return Object.fromEntries(
    Object.entries(environment).filter(([name, value = '']) => !isServiceLink(name, value, environment)),
  )
}

function isServiceLink(name: string, value: string, environment: Environment): boolean {
  if (detailName.test(name) || (urlName.test(name) && urlValue.test(value))) return true
  const suffix = serviceSuffix.exec(name)
  if (suffix === null) return false
  const service = name.slice(0, suffix.index)
  return `${service}_SERVICE_HOST` in environment && `${service}_SERVICE_PORT` in environment
}
