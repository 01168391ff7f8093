import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Entry } from '../../core/entry.js'
import { readResponse } from '../routes/read-response.js'
import { type PlainResponse, sendDirectly } from '../routes/response.js'

/**
 * Sends the answer to a request that has been received, to the byte as `sendDirectly` does, in one write to the socket. Putting headers
 * together, checking them and ending a stream is a quarter of what Node needs for a small answer (bench/README.md);
 * and these headers are constants and numbers of ours.
 */
export function sendRaw(response: ServerResponse, answer: PlainResponse): void {
  const socket = socketFor(response)
  if (socket === undefined) {
    sendDirectly(response, answer)
    return
  }
  const { status, headers, body } = answer
  // Not sent by this; for whoever looks at the response.
  response.statusCode = status
  const bytes = Buffer.byteLength(body)
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nX-Content-Type-Options: nosniff\r\n`
  for (let index = 0; index < headers.length; index += 2)
    head += `${headers[index]}: ${headers[index + 1]}\r\n`
  head += `Content-Length: ${bytes}\r\nDate: ${date()}\r\nConnection: keep-alive\r\n\r\n`
  write(response, socket, head + body, bytes === body.length)
}

/** The same for an entry held, from as few pieces as it can be made of. */
export function sendHit(response: ServerResponse, key: string, entry: Entry, nowMs: number): void {
  const { value, asOfMs, expiresAtMs } = entry
  const ageMs = nowMs - asOfMs
  const ttlMs = expiresAtMs - nowMs
  const socket = socketFor(response)
  const quoted = JSON.stringify(key)
  // What is escaped has not the length that the entry knows; it is as rare as it looks.
  if (socket === undefined || quoted.length !== key.length + 2 || ttlMs === Number.POSITIVE_INFINITY) {
    sendRaw(response, readResponse(key, { value, ageMs, ttlMs }))
    return
  }
  const text = `HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\nCache-Status: caching-layer; hit; ttl=${Math.floor(ttlMs / 1_000)}\r\nAge: ${Math.floor(ageMs / 1_000)}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${entry.bytes + bytesAround}\r\nDate: ${date()}\r\nConnection: keep-alive\r\n\r\n{"key":${quoted},"value":${value},"source":"cache"}`
  write(response, socket, text, entry.bytes === key.length + value.length)
}

const bytesAround = '{"key":"","value":,"source":"cache"}'.length

/**
 * Where the answer can be written; undefined where Node has to send it:
 * - an earlier answer on the connection is not sent yet (pipelining),
 * - the client does not read as fast as it asks, so that somebody has to make it wait,
 * - the connection is to be closed.
 */
function socketFor({ socket, shouldKeepAlive }: ServerResponse): Socket | undefined {
  return socket && !socket.destroyed && socket.writableLength === 0 && shouldKeepAlive ? socket : undefined
}

/** As many bytes as UTF-16 units means that all of it is ASCII. */
function write(response: ServerResponse, socket: Socket, text: string, isAscii: boolean): void {
  socket.write(text, isAscii ? 'latin1' : 'utf8')
  // What Node waits for to take leave of this request, and to turn to the next one on the connection.
  response.emit('finish')
}

let dateSecond = 0
let dateText = ''

/** RFC 9110's form of the time, to the second. */
function date(): string {
  const second = Math.floor(Date.now() / 1_000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(second * 1_000).toUTCString()
  }
  return dateText
}
