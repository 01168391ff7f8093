import type { RequestListener } from 'node:http'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import { setGlobalErrorHandler } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { Cache, CacheOptions, CacheParts } from '../../core/cache.js'
import type { Log } from '../../core/ports.js'
import type { BatchTracer } from '../../core/tracer.js'
import { errorMessage } from '../../errors/error-message.js'
import { batchSpans } from './batch-spans.js'
import { requestSpans } from './request-spans.js'
import { SpanScope } from './span-scope.js'
import { type DatabaseServer, type StatementSpans, statementSpans } from './statement-spans.js'
import { TracedCache } from './traced-cache.js'

export interface TracingOptions {
  readonly server: DatabaseServer
  readonly log: Log
}

/** All tracers of a sidecar. */
export interface Tracing {
  readonly batches: BatchTracer
  readonly statements: StatementSpans
  newCache(options: CacheOptions, parts: CacheParts): Cache
  /** Traces a listener. `paths` are those that name a span; a path that a client makes up does not. */
  requests(listener: RequestListener, paths: readonly string[]): RequestListener
  /** Exports the remaining spans within this time. */
  close(timeoutMs: number): Promise<void>
}

const name = 'caching-layer'
/** Minimum time between two warnings: an unavailable collector fails every export, and one warning is enough. */
const complaintIntervalMs = 60_000

/** Starts the export of traces by OTLP over HTTP, as configured by the `OTEL_*` variables of this process. */
export function startTracing({ server, log }: TracingOptions): Tracing {
  complainTo(log)
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': name }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  })
  const tracer = provider.getTracer(name)
  const requests = new SpanScope()
  const batches = new SpanScope()
  return {
    batches: batchSpans({ tracer, requests, batches }),
    statements: statementSpans({ tracer, batches, server }),
    newCache: (options, parts) => new TracedCache(tracer, requests, options, parts),
    requests: (listener, paths) => requestSpans({ tracer, requests, listener, paths: new Set(paths) }),
    close: async (timeoutMs) => {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs)
      })
      await Promise.race([provider.shutdown().catch(() => undefined), late])
      clearTimeout(timer)
    },
  }
}

/**
 * Logs OpenTelemetry's own diagnostics. Its messages may name the collector's URL, but contain no data of this process.
 * Only the message of an error is logged: the rest is its stack, and the collector's response.
 */
function complainTo(log: Log): void {
  let lastMs = Number.NEGATIVE_INFINITY
  const complain = (reason: string) => {
    if (performance.now() - lastMs < complaintIntervalMs) return
    lastMs = performance.now()
    log.warn({ reason }, 'traces cannot be exported')
  }
  const ignore = () => undefined
  setGlobalErrorHandler((error) => complain(errorMessage(error)))
  diag.setLogger(
    { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
}
