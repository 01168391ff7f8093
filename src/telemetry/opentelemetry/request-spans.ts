import type { RequestListener } from 'node:http'
import {
  defaultTextMapGetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import type { SpanScope } from './span-scope.js'

export interface RequestSpansOptions {
  readonly tracer: Tracer
  readonly requests: SpanScope
  readonly listener: RequestListener
  /**
   * Paths of endpoints, which name a span. A path that a client makes up does not. A path with a parameter in braces is
   * a template.
   */
  readonly paths: ReadonlySet<string>
}

/** Methods that the semantic conventions know. */
const methods: ReadonlySet<string> = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'TRACE',
])

const propagator = new W3CTraceContextPropagator()

/**
 * Creates a span for every request, following OpenTelemetry's conventions for HTTP servers. It continues the caller's
 * trace (`traceparent`). The query is not recorded, because it contains keys. A request that is not sampled costs
 * little more than finding that out.
 */
export function requestSpans({ tracer, requests, listener, paths }: RequestSpansOptions): RequestListener {
  const templates = [...paths].filter((path) => path.includes('{'))
  const templateOf = (path: string) =>
    templates.find((template) => path.startsWith(template.slice(0, template.indexOf('{'))))
  return (request, response) => {
    const { method = '', url = '', headers } = request
    const path = url.split('?', 1)[0] as string
    const route = paths.has(path) ? path : templateOf(path)
    const isKnown = methods.has(method)
    const verb = isKnown ? method : 'HTTP'
    const span = tracer.startSpan(
      route === undefined ? verb : `${verb} ${route}`,
      {
        kind: SpanKind.SERVER,
        attributes: {
          'http.request.method': isKnown ? method : '_OTHER',
          ...(!isKnown && { 'http.request.method_original': method }),
          'url.scheme': 'http',
          'network.protocol.version': request.httpVersion,
          ...(route !== undefined && { 'http.route': route, 'url.path': route }),
        },
      },
      propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter),
    )
    if (!span.isRecording()) {
      // The listener runs without a span scope. Its async context is that of the connection, which has no span.
      listener(request, response)
      return
    }
    let isFinished = false
    response.once('finish', () => {
      isFinished = true
    })
    response.once('close', () => end(span, response.statusCode, isFinished))
    requests.run(span, () => listener(request, response))
    // Later events of the request must run in its scope as well. By default they run in the scope of the connection.
    const { emit, push } = request
    request.emit = (event: string | symbol, ...args: unknown[]) =>
      requests.run(span, () => emit.call(request, event, ...args))
    request.push = (chunk: unknown) => requests.run(span, () => push.call(request, chunk))
  }
}

/** Ends the span. An error of the client is not an error of the server. */
function end(span: Span, status: number, isFinished: boolean): void {
  if (isFinished) span.setAttribute('http.response.status_code', status)
  const error = isFinished ? (status >= 500 ? String(status) : undefined) : 'aborted'
  if (error !== undefined) {
    span.setAttribute('error.type', error)
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}
