import { type Attributes, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api'
import { below, type SpanScope } from './span-scope.js'

/** Tracer of statements, as `postgres/` needs it. */
export interface StatementSpans {
  statement<T>(text: string, run: () => Promise<T>): Promise<T>
}

/** The first operation that writes, because a statement may select the rows that it writes. */
const writing = /(?<!\bfor )\b(insert|update|delete)\b/i
const reading = /\b(select)\b/i
const table = 'cache_entries'

export interface StatementSpansOptions {
  readonly tracer: Tracer
  readonly batches: SpanScope
  readonly server: DatabaseServer
}

/** The server that statements are sent to. */
export interface DatabaseServer {
  /** Host name, address, or folder of a Unix socket. */
  readonly host: string
  readonly port: string
  readonly database: string
}

/**
 * Creates a span for every statement of a batch, following OpenTelemetry's conventions for database clients. Statements
 * of the change feed, and pending writes, have no span, because they belong to no request. Values are not recorded:
 * they are parameters, and parameters are not shown.
 */
export function statementSpans({ tracer, batches, server }: StatementSpansOptions): StatementSpans {
  const common: Attributes = {
    'db.system.name': 'postgresql',
    'db.namespace': server.database,
    'server.address': server.host,
    'server.port': Number(server.port || 5432),
  }
  return {
    async statement(text, run) {
      const parent = batches.span
      if (parent === undefined) return run()
      const name = (writing.exec(text) ?? reading.exec(text))?.[1]?.toUpperCase() ?? 'QUERY'
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
        below(parent),
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

/**
 * Returns the code of a CacheError, and the SQLSTATE behind it. The server's message may contain a value, so it is not
 * recorded.
 */
function faultOf(error: unknown): { readonly code: string; readonly state: string | undefined } {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } }
  const state = cause?.code
  return {
    code: typeof code === 'string' ? code : 'failed',
    state: typeof state === 'string' && /^[0-9A-Z]{5}$/.test(state) ? state : undefined,
  }
}
