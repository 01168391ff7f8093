import t from 'tap'
import { ConfigError } from '../../../src/config/config-error.js'
import { loadConfig } from '../../../src/config/load.js'
import { settings } from '../../../src/config/settings/settings.js'

/**
 * Returns the variables that Kubernetes sets in every container for a Service, as `getServiceEnvVars` of the kubelet
 * does.
 */
function serviceLinks(service: string): Record<string, string> {
  const prefix = service.toUpperCase().replaceAll('-', '_')
  return {
    [`${prefix}_SERVICE_HOST`]: '10.0.0.1',
    [`${prefix}_SERVICE_PORT`]: '9025',
    [`${prefix}_SERVICE_PORT_HTTP_METRICS`]: '9025',
    [`${prefix}_PORT`]: 'tcp://10.0.0.1:9025',
    [`${prefix}_PORT_9025_TCP`]: 'tcp://10.0.0.1:9025',
    [`${prefix}_PORT_9025_TCP_PROTO`]: 'tcp',
    [`${prefix}_PORT_9025_TCP_PORT`]: '9025',
    [`${prefix}_PORT_9025_TCP_ADDR`]: '10.0.0.1',
    [`${prefix}_PORT_53_UDP`]: 'udp://[fd00::1]:53',
    [`${prefix}_PORT_53_UDP_PROTO`]: 'udp',
    [`${prefix}_PORT_53_UDP_PORT`]: '53',
    [`${prefix}_PORT_53_UDP_ADDR`]: 'fd00::1',
  }
}

/** Every name of a Service whose variables begin as one of our settings does: `cache`, `cache-max`, `ops`, ... */
function servicesOfOurPrefixes(): string[] {
  const variables = Object.values(settings).map(({ variable }) => variable)
  const prefixes = variables.flatMap((variable) => {
    const words = variable.toLowerCase().split('_')
    return words.map((_, index) => words.slice(0, index + 1).join('-'))
  })
  return [...new Set(prefixes)]
}

t.test('a Kubernetes Service whose name begins like a setting changes nothing', async (t) => {
  const services = servicesOfOurPrefixes()
  for (const one of ['cache', 'ops', 'database', 'log', 'cache-max-bytes']) t.ok(services.includes(one), one)
  const usual = loadConfig({})
  for (const service of services) {
    const { config, sources, warnings } = loadConfig(serviceLinks(service))
    t.same({ config, sources, warnings }, usual, service)
  }
  t.same(loadConfig(Object.assign({}, ...services.map(serviceLinks))), usual, 'all at once')
})

t.test('an explicit setting takes precedence over a service link, also in a file', async (t) => {
  t.match(loadConfig({ ...serviceLinks('ops'), OPS_PORT: '9999' }).config, { opsPort: 9_999 })
  const flags = new Map([['ops-port', '7']])
  t.match(loadConfig(serviceLinks('ops'), { flags }).config, { opsPort: 7 })
})

t.test('a variable that only resembles a service link is not ignored', async (t) => {
  t.throws(() => loadConfig({ OPS_PORT: 'tcp://10.0.0.1' }), ConfigError)
  t.throws(() => loadConfig({ OPS_PORT: 'http://10.0.0.1:9025' }), ConfigError)
  for (const name of ['CACHE_PORT', 'CACHE_SERVICE_HOST', 'CACHE_SERVICE_PORT', 'CACHE_PORT_9025_TCPS'])
    t.match(loadConfig({ [name]: '8025' }).warnings, [new RegExp(`^${name} is not a setting`)])
  for (const name of ['CACHE_SERVICE_HOST', 'CACHE_SERVICE_PORT'])
    t.equal(loadConfig({ [name]: 'a', CACHE_SERVICE_PORT_HTTP: '8025' }).warnings.length, 2, name)
  t.throws(() => loadConfig({ CACHE_UI_KEYS: 'tcp://10.0.0.1:9025' }), /^CACHE_UI_KEYS: must be one of/)
})
