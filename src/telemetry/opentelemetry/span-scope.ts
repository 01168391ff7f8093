import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, context, type Span, trace } from '@opentelemetry/api'

/** The span on whose behalf code runs, through whatever it awaits. */
export class SpanScope {
  readonly #spans = new AsyncLocalStorage<Span>()

  get span(): Span | undefined {
    return this.#spans.getStore()
  }

  run<T>(span: Span, run: () => T): T {
    return this.#spans.run(span, run)
  }
}

/** As the parent of a new span. */
export function below(span: Span): Context {
  return trace.setSpan(context.active(), span)
}
