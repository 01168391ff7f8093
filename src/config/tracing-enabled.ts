import { ConfigError } from './config-error.js'
import type { Environment } from './environment.js'

/**
 * Returns true if OpenTelemetry's own variables enable traces. Its SDK reads the rest of these variables. Throws
 * ConfigError for an endpoint that the SDK would ignore. The error does not repeat the text, which may contain a
 * password.
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

/**
 * Returns a warning for each OTLP protocol that is set but not supported. Traces are sent anyway, as JSON over HTTP.
 */
export function otlpWarnings(environment: Environment): readonly string[] {
  if (!isTracingEnabled(environment)) return []
  return ['OTEL_EXPORTER_OTLP_PROTOCOL', 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL']
    .filter((name) => !['', 'http/json'].includes(environment[name] ?? ''))
    .map(
      (name) =>
        `${name}=${environment[name]}: not supported; traces are sent as http/json, usually to port 4318`,
    )
}
