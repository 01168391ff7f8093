import { SpanStatusCode } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import t from 'tap'
import type { Cache } from '../../../src/core/cache.js'
import { batchSpans } from '../../../src/telemetry/opentelemetry/batch-spans.js'
import { SpanScope } from '../../../src/telemetry/opentelemetry/span-scope.js'
import { TracedCache } from '../../../src/telemetry/opentelemetry/traced-cache.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { ModelFeed } from '../../support/model-feed.js'
import { ModelStore } from '../../support/model-store.js'
import { recordingLog } from '../../support/recording-log.js'

function tracer() {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  /** Returns the spans that have ended, without their prefix, and forgets them. */
  const taken = () => {
    const spans = exporter.getFinishedSpans().map((span) => ({
      name: span.name,
      attributes: Object.fromEntries(
        Object.entries(span.attributes).map(([name, value]) => [name.replace('caching_layer.', ''), value]),
      ),
      isError: span.status.code === SpanStatusCode.ERROR,
      parent: span.parentSpanContext?.spanId,
      id: span.spanContext().spanId,
      links: span.links.map(({ context }) => context.spanId),
    }))
    exporter.reset()
    return spans
  }
  return { tracer: provider.getTracer('test'), taken }
}

/** Returns a traced cache whose feed is live, and a function that calls it in the span of a request. */
async function traced() {
  const traces = tracer()
  const requests = new SpanScope()
  const clock = new DrivenClock()
  const store = new ModelStore(clock)
  const options = {
    ...{ capacity: 100, negativeCapacity: 100, maxBytes: undefined, ttlMs: 60_000, maxStalenessMs: 3_000 },
    ...({ onFeedLoss: 'bypass', onWriteOutage: 'reject', maxPendingBytes: 1_000_000 } as const),
    ...{ maxStatements: 2, maxReads: 9, maxWaitMs: 1_000, idleAfterMs: 0 },
  }
  const { remover, writer } = store
  const { log } = recordingLog()
  const cache = new TracedCache(traces.tracer, requests, options, { store, remover, writer, clock, log })
  const feed = new ModelFeed({ store, clock, handler: cache })
  await feed.connect()
  /** Returns the one span of a call, as it was recorded. */
  const spanOf = async (call: (cache: Cache) => unknown) => {
    const request = traces.tracer.startSpan('request')
    await requests.run(request, async () => call(cache))
    const [span, ...others] = traces.taken()
    if (others.length > 0) throw new Error('more than one span')
    if (span && span.parent !== request.spanContext().spanId) throw new Error('not below the request')
    return span && [span.name, span.attributes, span.isError]
  }
  return { cache, store, feed, taken: traces.taken, spanOf }
}

t.test('a read is traced with how it came to its answer', async (t) => {
  const { store, feed, spanOf } = await traced()
  t.equal(await spanOf((cache) => cache.hit('k')), undefined, 'there is nothing in memory')
  t.strictSame(await spanOf((cache) => cache.get('k')), [
    'cache get',
    { source: 'db', found: false, forwarded: 'miss', stored: true },
    false,
  ])
  store.setBySql('k', '1')
  feed.deliver()
  t.match(await spanOf((cache) => cache.get('k', { strong: true })), [
    'cache get',
    { source: 'db', found: true, forwarded: 'request', stored: true },
  ])
  t.strictSame(await spanOf((cache) => cache.get('k')), [
    'cache get',
    { source: 'cache', found: true },
    false,
  ])
  t.strictSame(await spanOf((cache) => cache.hit('k')), ['cache get', { source: 'cache' }, false])
  const many = (keys: readonly string[]) => spanOf((cache) => cache.getMany(keys, {}, () => undefined))
  t.strictSame(await many(['k']), ['cache get many', { source: 'cache', keys: 1, keys_found: 1 }, false])
  t.strictSame(await many(['k', 'none']), ['cache get many', { source: 'db', keys: 2, keys_found: 1 }, false])
})

t.test('a write is traced with what it did', async (t) => {
  const { spanOf } = await traced()
  t.strictSame(await spanOf((cache) => cache.set('k', '1')), ['cache set', { written: true }, false])
  t.strictSame(await spanOf((cache) => cache.delete('k')), [
    'cache delete',
    { held: true, stored: true },
    false,
  ])
  t.match(await spanOf((cache) => cache.delete('k')), ['cache delete', { stored: false }])
  const change = (value: string | undefined, options = {}) =>
    spanOf((cache) => cache.change('k', value === undefined ? undefined : { value }, options))
  t.strictSame(await change('1'), ['cache set', { written: true }, false])
  const condition = { match: undefined, noneMatch: '*' }
  t.strictSame(await change('2', { condition }), [
    'cache set',
    { written: false, condition_met: false },
    false,
  ])
  t.strictSame(await change(undefined, { condition: { match: '*', noneMatch: undefined } }), [
    'cache delete',
    { written: true, condition_met: true },
    false,
  ])
})

t.test('a call that fails has the code of its error', async (t) => {
  const { store, taken, spanOf } = await traced()
  store.stop()
  await t.rejects(spanOf((cache) => cache.set('k', '1')))
  t.match(taken(), [{ name: 'cache set', isError: true, attributes: { 'error.type': 'store-unavailable' } }])
})

t.test('what belongs to no request is not traced', async (t) => {
  const { cache, taken } = await traced()
  await cache.set('k', '1')
  await cache.get('k')
  cache.hit('k')
  t.strictSame(taken(), [])
})

t.test('a batch is below its first request, with links to all, and counts keys and requests', async (t) => {
  const { tracer: one, taken } = tracer()
  const [requests, batches] = [new SpanScope(), new SpanScope()]
  const spans = batchSpans({ tracer: one, requests, batches })
  const [first, second] = [one.startSpan('a'), one.startSpan('b')]
  t.equal(spans.origin(), undefined)
  requests.run(first, () => t.equal(spans.origin(), first))
  const ids = [first, second].map((span) => span.spanContext().spanId)
  const origins = [undefined, first, second, first]
  for (const operation of ['read', 'write', 'remove'] as const)
    t.equal(await spans.batch({ operation, keys: 4, origins }, async () => batches.span !== undefined), true)
  const common = { attributes: { 'batch.keys': 4, 'batch.requests': 3 }, parent: ids[0], links: ids }
  t.match(taken(), [
    { name: 'batch read', ...common },
    { name: 'batch write', ...common },
    { name: 'batch delete', ...common },
  ])
  const failure = new Error('m')
  const failing = spans.batch({ operation: 'read', keys: 1, origins: [first] }, () => Promise.reject(failure))
  await t.rejects(failing, failure)
  t.match(taken(), [{ name: 'batch read' }], 'it has ended')
  const untraced = { operation: 'read', keys: 1, origins: [undefined] } as const
  t.strictSame(await spans.batch(untraced, async () => ['sent', batches.span]), ['sent', undefined])
  t.strictSame(taken(), [])
})
