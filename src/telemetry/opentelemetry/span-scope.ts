import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, context, type Span, trace } from '@opentelemetry/api'

/** The current span of a call, kept across everything that the call awaits. */
export class SpanScope {
  readonly #spans = new AsyncLocalStorage<Span>()

  get span(): Span | undefined {
    return this.#spans.getStore()
  }

  run<T>(span: Span, run: () => T): T {
    return this.#spans.run(span, run)
  }
}

/** Returns a context in which new spans are children of this span. */
export function below(span: Span): Context {
  return trace.setSpan(context.active(), span)
}
