import { type Attributes, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api'
import { activeSpan, contextOf } from './context.js'

/** Sees each statement: what postgres/database.ts wants of a tracer. */
export interface StatementSpans {
  statement<T>(text: string, run: () => Promise<T>): Promise<T>
}

const operation = /\b(insert|update|delete|select)\b/i
const table = 'cache_entries'

/**
 * A span for every statement of a request, after OpenTelemetry's conventions for database clients; statements of the
 * change feed have none. No values: they are parameters, and parameters are not shown.
 */
export function statementSpans(tracer: Tracer, databaseUrl: string): StatementSpans {
  const { hostname, port, pathname } = new URL(databaseUrl)
  const common: Attributes = {
    'db.system.name': 'postgresql',
    'db.namespace': decodeURIComponent(pathname.slice(1)),
    'server.address': hostname,
    'server.port': Number(port || 5432),
  }
  return {
    async statement(text, run) {
      const parent = activeSpan()
      if (parent === undefined) return run()
      const name = operation.exec(text)?.[1]?.toUpperCase() ?? 'QUERY'
      const summary = text.includes(table) ? `${name} ${table}` : name
      const span = tracer.startSpan(
        summary,
        {
          kind: SpanKind.CLIENT,
          attributes: {
            ...common,
            'db.operation.name': name,
            'db.query.summary': summary,
            ...(text.includes(table) && { 'db.collection.name': table }),
          },
        },
        contextOf(parent),
      )
      try {
        return await run()
      } catch (error) {
        const { code, state } = faultOf(error)
        span.setAttribute('error.type', state ?? code)
        if (state !== undefined) span.setAttribute('db.response.status_code', state)
        span.setStatus({ code: SpanStatusCode.ERROR })
        throw error
      } finally {
        span.end()
      }
    },
  }
}

/** The code of a CacheError, and the SQLSTATE behind it. What the server said may hold a value: it stays out. */
function faultOf(error: unknown): { readonly code: string; readonly state: string | undefined } {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } }
  const state = cause?.code
  return {
    code: typeof code === 'string' ? code : 'failed',
    state: typeof state === 'string' && /^[0-9A-Z]{5}$/.test(state) ? state : undefined,
  }
}
