import t from 'tap'
import { isTracingEnabled, otlpWarnings } from '../../../src/config/tracing-enabled.js'

const endpoint = 'http://collector:4318'

t.test('an endpoint of OpenTelemetry enables traces, unless its other variables disable them', async (t) => {
  for (const name of ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) {
    t.equal(isTracingEnabled({ [name]: endpoint }), true, name)
    t.equal(isTracingEnabled({ [name]: 'https://collector' }), true, name)
    t.equal(isTracingEnabled({ [name]: '' }), false, name)
    t.equal(isTracingEnabled({ [name]: endpoint, OTEL_SDK_DISABLED: 'TRUE' }), false, name)
    t.equal(isTracingEnabled({ [name]: endpoint, OTEL_SDK_DISABLED: 'false' }), true, name)
    t.equal(isTracingEnabled({ [name]: endpoint, OTEL_TRACES_EXPORTER: 'none' }), false, name)
    t.equal(isTracingEnabled({ [name]: endpoint, OTEL_TRACES_EXPORTER: 'otlp' }), true, name)
  }
  t.equal(isTracingEnabled({}), false)
})

t.test('an endpoint that OpenTelemetry would ignore is refused, and not repeated', async (t) => {
  for (const text of ['collector:4318', 'grpc://user:s3cret@collector', 's3cret'])
    t.throws(
      () => isTracingEnabled({ OTEL_EXPORTER_OTLP_ENDPOINT: text }),
      {
        name: 'ConfigError',
        message: 'OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL like http://collector:4318',
      },
      text,
    )
})

t.test('a protocol that is not supported causes a warning, if there are traces', async (t) => {
  const traces = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }
  t.strictSame(otlpWarnings({ ...traces, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }), [
    'OTEL_EXPORTER_OTLP_PROTOCOL=grpc: not supported; traces are sent as http/json, usually to port 4318',
  ])
  t.match(otlpWarnings({ ...traces, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' }), [
    /^OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http\/protobuf: not supported/,
  ])
  for (const quiet of [
    traces,
    { ...traces, OTEL_EXPORTER_OTLP_PROTOCOL: '', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' },
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { ...traces, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_SDK_DISABLED: 'true' },
  ])
    t.strictSame(otlpWarnings(quiet), [])
})
