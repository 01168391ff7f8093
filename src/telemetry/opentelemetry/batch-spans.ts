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
 * One span for one statement that serves many requests. It stands in the trace of the first of them that is
 * recorded, and links to all, so that each can be found from it. A batch that serves none that is recorded has none.
 */
export function batchSpans({ tracer, requests, batches }: BatchSpansOptions): BatchTracer {
  return {
    origin: () => requests.span,
    batch({ operation, keys, origins }, run) {
      const recorded = origins.filter((origin): origin is Span => origin !== undefined)
      const [first] = recorded
      if (first === undefined) return run()
      const span = tracer.startSpan(
        nameOf[operation],
        {
          links: recorded.map((origin) => ({ context: origin.spanContext() })),
          attributes: { 'caching_layer.batch.keys': keys, 'caching_layer.batch.requests': origins.length },
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
