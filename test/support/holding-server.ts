import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { dataLimits } from '../../src/http/server/connection-limits.js'
import { HttpServer } from '../../src/http/server/server.js'
import type { Owner } from './database.js'
import { eventually } from './eventually.js'
import { turn } from './turn.js'

/** Memory of the request that `get` returns for a path of two characters. */
export const requestBytes = 2_048 + 2 + 'Host'.length + 'a'.length

export const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`

/** Starts a server that leaves all responses to the test, with room for so many waiting requests. */
export async function holdingServer(t: Owner, room = 3) {
  const begun: { readonly request: IncomingMessage; readonly response: ServerResponse }[] = []
  let excess = 0
  const server = new HttpServer({
    address: { host: '127.0.0.1', port: 0 },
    limits: { ...dataLimits, maxConnections: 10, maxWaitingBytes: room * requestBytes },
    listener: (request, response) => begun.push({ request, response }),
    idleGraceMs: 0,
    onExcess: () => excess++,
  })
  await server.listen()
  t.teardown(() => server.close(0))
  const paths = () => begun.map(({ request }) => request.url)
  return {
    begun,
    paths,
    /** Resolves when this request has begun, and everything that was received with it has been parsed. */
    until: async (path: string) => {
      await eventually(() => paths().at(-1) === path)
      await turn()
    },
    /** Ends the response to a request. */
    end: (path: string) => begun.find(({ request }) => request.url === path)?.response.end(`end of ${path}`),
    /** Sends requests on a new connection. */
    send: (sent: string) => {
      const socket = connect(server.port, '127.0.0.1')
      socket.write(sent)
      t.teardown(() => socket.destroy())
      socket.on('error', () => undefined)
      return socket
    },
    excess: () => ({ excess, closed: server.closedConnections.pipelined }),
  }
}

/** Resolves to the statuses and bodies of all responses on a connection, once it is closed. */
export async function responsesOn(socket: Socket): Promise<readonly string[]> {
  const received = await text(socket)
  return [...received.matchAll(/HTTP\/1\.1 (\d+).*?\r\n\r\n(?:end of (\/\d))?/gs)].map(([, status, path]) =>
    path === undefined ? String(status) : `${status} ${path}`,
  )
}
