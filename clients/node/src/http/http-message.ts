import type { IncomingHttpHeaders } from 'node:http'

export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Path and query, encoded. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | undefined
  /** True if the request changes nothing, so that it may be sent again after it may have been received. */
  readonly isRead: boolean
  /** Kinds of problems that are answers and not errors. */
  readonly answers?: readonly string[]
  /** True if the sidecar may let the request wait for seconds, so that it must not take the place of others. */
  readonly mayWait?: boolean
  /** True to use a new connection: behind a balancer, each may lead to another sidecar. */
  readonly isOnNewConnection?: boolean
}

export interface HttpResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}
