import { isSpanContextValid, type Span, type Tracer } from '@opentelemetry/api'
import type { BatchOperation } from '../core/stats.js'
import type { BatchTracer } from '../core/tracer.js'
import { activeSpan, contextOf, runIn } from './context.js'

/**
 * One span for one statement that serves many requests. It stands in the trace of the first of them that is
 * recorded, and links to all, so that each can be found from it.
 */
export function batchSpans(tracer: Tracer): BatchTracer {
  return {
    origin: activeSpan,
    batch(operation, origins, run) {
      const recorded = origins.filter((origin): origin is Span => isRecorded(origin as Span | undefined))
      const [first] = recorded
      if (first === undefined) return run()
      const span = tracer.startSpan(
        nameOf[operation],
        {
          links: recorded.map((origin) => ({ context: origin.spanContext() })),
          attributes: { 'caching_layer.batch.requests': origins.length },
        },
        contextOf(first),
      )
      return runIn(span, run).finally(() => span.end())
    },
  }
}

const nameOf: Readonly<Record<BatchOperation, string>> = {
  read: 'batch read',
  write: 'batch write',
  remove: 'batch delete',
}

function isRecorded(span: Span | undefined): boolean {
  return span?.isRecording() === true && isSpanContextValid(span.spanContext())
}
