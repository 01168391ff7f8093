import type { RequestListener } from 'node:http'
import { defaultTextMapGetter, ROOT_CONTEXT, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { runIn } from './context.js'

/** A path of ours; what a client makes up is no name for a span. */
const routes: ReadonlySet<string> = new Set([
  '/',
  '/health',
  '/cache/get',
  '/cache/set',
  '/cache/delete',
  '/cache/stats',
  '/v1/shutdown',
])

const propagator = new W3CTraceContextPropagator()

/**
 * A span for every request, after OpenTelemetry's conventions for HTTP servers. It continues the caller's trace
 * (`traceparent`). The query stays out of it: keys are in there.
 */
export function requestSpans(tracer: Tracer, listener: RequestListener): RequestListener {
  return (request, response) => {
    const { method = '', url = '', headers } = request
    const path = url.split('?', 1)[0] as string
    const route = routes.has(path) ? path : undefined
    const span = tracer.startSpan(
      route === undefined ? method : `${method} ${route}`,
      {
        kind: SpanKind.SERVER,
        attributes: {
          'http.request.method': method,
          'url.scheme': 'http',
          'network.protocol.version': request.httpVersion,
          ...(route !== undefined && { 'http.route': route, 'url.path': route }),
        },
      },
      propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter),
    )
    let isFinished = false
    response.once('finish', () => {
      isFinished = true
    })
    response.once('close', () => {
      span.setAttribute('http.response.status_code', response.statusCode)
      const error = isFinished ? errorOf(response.statusCode) : 'aborted'
      if (error !== undefined) {
        span.setAttribute('error.type', error)
        span.setStatus({ code: SpanStatusCode.ERROR })
      }
      span.end()
    })
    // What comes of the request later comes on its behalf as well: by itself it would come from the connection.
    const { emit } = request
    request.emit = (event: string | symbol, ...args: unknown[]) =>
      runIn(span, () => emit.call(request, event, ...args))
    runIn(span, () => listener(request, response))
  }
}

/** What is the client's fault is no error of a server. */
function errorOf(status: number): string | undefined {
  return status >= 500 ? String(status) : undefined
}
