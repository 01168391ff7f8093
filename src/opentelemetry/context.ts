import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, context, type Span, trace } from '@opentelemetry/api'

/** The span on whose behalf code runs, through whatever it awaits. */
const spans = new AsyncLocalStorage<Span>()

export function activeSpan(): Span | undefined {
  return spans.getStore()
}

export function runIn<T>(span: Span, run: () => T): T {
  return spans.run(span, run)
}

/** As the parent of a new span. */
export function contextOf(span: Span): Context {
  return trace.setSpan(context.active(), span)
}
