import { ConfigError } from './config-error.js'
import type { Environment } from './environment.js'

/**
 * Whether traces are asked for, by OpenTelemetry's own variables; what else those say is read by its SDK. Throws
 * ConfigError for an address that it would take no notice of. The text is not repeated: it may hold a password.
 */
export function isTracingEnabled(environment: Environment): boolean {
  if (environment.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || environment.OTEL_TRACES_EXPORTER === 'none')
    return false
  const given = endpoints.filter((name) => environment[name])
  for (const name of given) {
    if (!isHttpUrl(environment[name] as string))
      throw new ConfigError(`${name}: must be a URL like http://collector:4318`)
  }
  return given.length > 0
}

const endpoints = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

/** Returns one line for each OTLP protocol that is asked for and not spoken: traces are sent all the same, as JSON over HTTP. */
export function otlpWarnings(environment: Environment): readonly string[] {
  if (!isTracingEnabled(environment)) return []
  return ['OTEL_EXPORTER_OTLP_PROTOCOL', 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL']
    .filter((name) => !['', 'http/json'].includes(environment[name] ?? ''))
    .map(
      (name) =>
        `${name}=${environment[name]}: not supported; traces are sent as http/json, usually to port 4318`,
    )
}
