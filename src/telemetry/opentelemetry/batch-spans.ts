import type { Span, Tracer } from '@opentelemetry/api'
import type { BatchOperation } from '../../core/stats.js'
import type { BatchTracer } from '../../core/tracer.js'
import { below, type SpanScope } from './span-scope.js'

export interface BatchSpansOptions {
  readonly tracer: Tracer
  readonly requests: SpanScope
  readonly batches: SpanScope
}

/**
 * Creates one span for each statement that serves requests. The span belongs to the trace of the first recorded
 * request, and has links to all recorded ones, so that it can be found from each of them. A batch without a recorded
 * request has no span.
 */
export function batchSpans({ tracer, requests: scope, batches }: BatchSpansOptions): BatchTracer {
  return {
    origin: () => scope.span,
    batch({ operation, keys, origins }, run) {
      const spans = origins.filter((origin): origin is Span => origin !== undefined)
      // A request for many keys is the origin of each.
      const recorded = [...new Set(spans)]
      const [first] = recorded
      const requests = origins.length - spans.length + recorded.length
      if (first === undefined) return run()
      const span = tracer.startSpan(
        nameOf[operation],
        {
          links: recorded.map((origin) => ({ context: origin.spanContext() })),
          attributes: { 'caching_layer.batch.keys': keys, 'caching_layer.batch.requests': requests },
        },
        below(first),
      )
      return batches.run(span, run).finally(() => span.end())
    },
  }
}

const nameOf: Readonly<Record<BatchOperation, string>> = {
  read: 'batch read',
  write: 'batch write',
  remove: 'batch delete',
}
