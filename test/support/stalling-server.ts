import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Owner } from './database.js'

export interface StallingServer {
  readonly port: number
  /** Method and path of each request so far. */
  readonly asked: readonly string[]
  /** Number of requests that arrived while it stalled. */
  readonly stalled: () => number
}

/** An HTTP server that stalls once, for every request, and is fast otherwise. */
export async function stallingServer(
  t: Owner,
  { after, stallMs }: { readonly after: number; readonly stallMs: number },
): Promise<StallingServer> {
  const asked: string[] = []
  let stalledUntilMs = 0
  let stalled = 0
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (asked.length === after) stalledUntilMs = performance.now() + stallMs
    request.resume()
    const leftMs = stalledUntilMs - performance.now()
    if (leftMs > 0) {
      stalled++
      // Timers may be up to 1 ms early.
      setTimeout(() => response.end('{}'), Math.ceil(leftMs) + 1)
    } else response.end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { port: (server.address() as AddressInfo).port, asked, stalled: () => stalled }
}
