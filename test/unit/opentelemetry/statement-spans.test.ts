import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import t from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import { SpanScope } from '../../../src/telemetry/opentelemetry/span-scope.js'
import { statementSpans } from '../../../src/telemetry/opentelemetry/statement-spans.js'

/** Sends statements in a batch. Returns their spans. */
function tracing(port = '5433') {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const tracer = provider.getTracer('test')
  const batches = new SpanScope()
  const spans = statementSpans({ tracer, batches, server: { host: 'db.example', port, database: 'app' } })
  const batch = tracer.startSpan('batch')
  const inBatch = (text: string, run: () => Promise<unknown> = async () => 'done') =>
    batches.run(batch, () => spans.statement(text, run))
  return { spans, batch, inBatch, ended: () => exporter.getFinishedSpans() }
}

t.test('a statement is named after what it does', async (t) => {
  const { batch, inBatch, ended } = tracing()
  for (const text of [
    'select * from cache_entries',
    'with one as (select 1) insert into public.cache_entries select * from one',
    'select * from item for update',
    'Delete from item where id = 1',
    'vacuum',
  ])
    t.equal(await inBatch(text), 'done')
  t.strictSame(
    ended().map(({ name, attributes }) => [name, attributes['db.collection.name']]),
    [
      ['SELECT cache_entries', 'cache_entries'],
      ['INSERT cache_entries', 'cache_entries'],
      ['SELECT', undefined],
      ['DELETE', undefined],
      ['QUERY', undefined],
    ],
  )
  const [first] = ended()
  t.equal(first?.kind, SpanKind.CLIENT)
  t.equal(first?.parentSpanContext?.spanId, batch.spanContext().spanId)
  t.strictSame(first?.attributes, {
    'db.system.name': 'postgresql',
    'db.namespace': 'app',
    'server.address': 'db.example',
    'server.port': 5433,
    'db.operation.name': 'SELECT',
    'db.query.summary': 'SELECT cache_entries',
    'db.collection.name': 'cache_entries',
  })
})

t.test('without a port, it is that of PostgreSQL', async (t) => {
  const { inBatch, ended } = tracing('')
  await inBatch('select')
  t.equal(ended()[0]?.attributes['server.port'], 5432)
})

t.test('a statement that fails has its SQLSTATE, or the code of its error, and no message', async (t) => {
  const { inBatch, ended } = tracing()
  const ofServer = new CacheError('refused', 'secret', {
    cause: Object.assign(new Error('secret'), { code: '23514' }),
  })
  const lost = new CacheError('store-unavailable', 'secret', {
    cause: Object.assign(new Error('secret'), { code: 'ECONNRESET' }),
  })
  for (const error of [ofServer, lost, new Error('secret')])
    await t.rejects(
      inBatch('select', () => Promise.reject(error)),
      error,
    )
  t.strictSame(
    ended().map(({ attributes, status }) => [
      attributes['error.type'],
      attributes['db.response.status_code'],
      status.code,
    ]),
    [
      ['23514', '23514', SpanStatusCode.ERROR],
      ['store-unavailable', undefined, SpanStatusCode.ERROR],
      ['failed', undefined, SpanStatusCode.ERROR],
    ],
  )
  t.notMatch(
    JSON.stringify(ended().map(({ attributes, events, status }) => [attributes, events, status])),
    'secret',
  )
})

t.test('a statement of no request has no span', async (t) => {
  const { spans, ended } = tracing()
  t.equal(await spans.statement('select', async () => 'done'), 'done')
  t.strictSame(ended(), [])
})
