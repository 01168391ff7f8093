import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Owner } from './database.js'

export interface ScriptedServer {
  readonly port: number
  /** All that ever were. */
  readonly sockets: readonly Socket[]
}

/** Starts a server, on TCP or a Unix socket, that passes what it reads to a function of the test. */
export async function scriptedServer(
  t: Owner,
  onRequest: (socket: Socket, text: string) => void,
  path?: string,
): Promise<ScriptedServer> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.setNoDelay().on('error', () => {})
    socket.setEncoding('latin1').on('data', (text) => onRequest(socket, String(text)))
  })
  if (path === undefined) server.listen(0, '127.0.0.1')
  else server.listen(path)
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { port: path === undefined ? (server.address() as AddressInfo).port : 0, sockets }
}

/** Returns a complete response. */
export function answer(status: number, body = '{}'): string {
  return `HTTP/1.1 ${status} Words\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}
