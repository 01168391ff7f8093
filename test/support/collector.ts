import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { Owner } from './database.js'

export interface ExportedSpan {
  readonly name: string
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly attributes: Readonly<Record<string, unknown>>
  readonly links: readonly string[]
  readonly isError: boolean
}

/** Receives what OpenTelemetry exports, as JSON over HTTP. */
export interface Collector {
  readonly url: string
  readonly spans: readonly ExportedSpan[]
  /** All that was received, as it was. */
  readonly received: readonly unknown[]
  readonly resource: Readonly<Record<string, unknown>>
}

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

interface Exported {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string
        readonly kind: number
        readonly traceId: string
        readonly spanId: string
        readonly parentSpanId?: string
        readonly attributes: readonly Attribute[]
        readonly links?: readonly { readonly spanId: string }[]
        readonly status?: { readonly code?: number }
      }[]
    }[]
  }[]
}

export async function collector(t: Owner): Promise<Collector> {
  const spans: ExportedSpan[] = []
  const received: unknown[] = []
  const resource: Record<string, unknown> = {}
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as Exported
    received.push(body)
    for (const { resource: of, scopeSpans } of body.resourceSpans) {
      Object.assign(resource, plain(of.attributes))
      for (const {
        name,
        kind,
        traceId,
        spanId,
        parentSpanId,
        attributes,
        links = [],
        status,
      } of scopeSpans.flatMap((scope) => scope.spans)) {
        spans.push({
          name,
          kind,
          traceId,
          spanId,
          parentSpanId,
          attributes: plain(attributes),
          links: links.map((link) => link.spanId),
          isError: status?.code === 2,
        })
      }
    }
    response.setHeader('Content-Type', 'application/json').end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, spans, received, resource }
}

function plain(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
