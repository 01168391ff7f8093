import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Owner } from './database.js'

export interface RecordedRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface RecordingFront {
  readonly url: string
  readonly requests: readonly RecordedRequest[]
  /** Ends all connections of clients. */
  cut(): void
}

/** Starts a server that records each request, and passes it on to a server at this URL. */
export async function recordingFront(t: Owner, target: string): Promise<RecordingFront> {
  const requests: RecordedRequest[] = []
  const server = createServer(async (received, response) => {
    const { method = '', url = '', headers } = received
    const body = Buffer.concat(await received.toArray())
    requests.push({ method, url, headers, body: body.toString() })
    const sent = request(target + url, { method, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
      response.on('close', () => answer.destroy())
    })
    sent.on('error', () => response.destroy())
    sent.end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, requests, cut: () => server.closeAllConnections() }
}
