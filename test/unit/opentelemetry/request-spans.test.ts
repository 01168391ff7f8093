import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import {
  AlwaysOffSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  type Sampler,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import t from 'tap'
import { requestSpans } from '../../../src/telemetry/opentelemetry/request-spans.js'
import { SpanScope } from '../../../src/telemetry/opentelemetry/span-scope.js'

/** Answers requests with a status; 0 for a client that is gone before. Returns their spans. */
function tracing(sampler?: Sampler) {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
    ...(sampler && { sampler }),
  })
  const requests = new SpanScope()
  let [asked, seen] = [0, 0]
  const listen = requestSpans({
    tracer: provider.getTracer('test'),
    requests,
    listener: () => {
      asked++
      if (requests.span) seen++
    },
    paths: new Set(['/cache/get', '/v1/entries/{key}']),
  })
  const ask = (method: string, url: string, status: number, headers = {}) => {
    const request = Object.assign(new EventEmitter(), {
      method,
      url,
      headers,
      httpVersion: '1.1',
      push: () => true,
    })
    const response = Object.assign(new EventEmitter(), { statusCode: status })
    listen(request as unknown as IncomingMessage, response as unknown as ServerResponse)
    if (status > 0) response.emit('finish')
    response.emit('close')
    return request
  }
  return { ask, requests, ended: () => exporter.getFinishedSpans(), asked: () => asked, seen: () => seen }
}

t.test('a request is named after its endpoint, and never after what a client makes up', async (t) => {
  const { ask, ended } = tracing()
  for (const [method, url] of [
    ['GET', '/cache/get?key=secret'],
    ['PUT', '/v1/entries/secret/more'],
    ['GET', '/secret'],
    ['SECRET', '/cache/get'],
  ] as const)
    ask(method, url, 200)
  t.strictSame(
    ended().map(({ name, attributes }) => [name, attributes['http.route'], attributes['url.path']]),
    [
      ['GET /cache/get', '/cache/get', '/cache/get'],
      ['PUT /v1/entries/{key}', '/v1/entries/{key}', '/v1/entries/{key}'],
      ['GET', undefined, undefined],
      ['HTTP /cache/get', '/cache/get', '/cache/get'],
    ],
  )
  t.equal(ended()[0]?.kind, SpanKind.SERVER)
  t.strictSame(ended()[0]?.attributes, {
    'http.request.method': 'GET',
    'url.scheme': 'http',
    'network.protocol.version': '1.1',
    'http.route': '/cache/get',
    'url.path': '/cache/get',
    'http.response.status_code': 200,
  })
  t.match(ended()[3]?.attributes, {
    'http.request.method': '_OTHER',
    'http.request.method_original': 'SECRET',
  })
})

t.test(
  'an error of the server and a client that is gone are errors; one of the client is none',
  async (t) => {
    const { ask, ended } = tracing()
    for (const status of [404, 500, 0]) ask('GET', '/cache/get', status)
    t.strictSame(
      ended().map(({ attributes, status }) => [
        attributes['http.response.status_code'],
        attributes['error.type'],
        status.code,
      ]),
      [
        [404, undefined, SpanStatusCode.UNSET],
        [500, '500', SpanStatusCode.ERROR],
        [undefined, 'aborted', SpanStatusCode.ERROR],
      ],
    )
  },
)

t.test("the caller's trace is continued", async (t) => {
  const { ask, ended } = tracing()
  const [trace, parent] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
  ask('GET', '/cache/get', 200, { traceparent: `00-${trace}-${parent}-01` })
  t.equal(ended()[0]?.spanContext().traceId, trace)
  t.equal(ended()[0]?.parentSpanContext?.spanId, parent)
})

t.test('the listener and the later events of a request run in its scope', async (t) => {
  const { ask, requests, seen } = tracing()
  const request = ask('POST', '/cache/get', 200)
  t.equal(seen(), 1)
  request.on('data', () => t.ok(requests.span))
  request.emit('data')
  t.equal(requests.span, undefined)
  const silent = tracing(new AlwaysOffSampler())
  silent.ask('GET', '/cache/get', 200)
  t.equal(silent.asked(), 1)
  t.equal(silent.seen(), 0, 'a request that is not sampled has no scope')
  t.strictSame(silent.ended(), [])
})
