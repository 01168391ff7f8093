import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Entry } from '../../core/entry.js'
import { expiresInMs } from '../../core/reads/read-result.js'
import { readResponse } from '../routes/read-response.js'
import { type PlainResponse, sendDirectly } from '../routes/response.js'

/**
 * Sends the response to a completely received request, in one write to the socket, with exactly the bytes that
 * `sendDirectly` sends. Building and checking headers and ending a stream takes a quarter of the time that Node needs
 * for a small response (bench/README.md), and is not necessary: all headers are our own constants and numbers, and
 * media types that have been checked.
 */
export function sendRaw(response: ServerResponse, answer: PlainResponse, isHead = false): void {
  const socket = socketFor(response)
  if (socket === undefined) {
    sendDirectly(response, answer)
    return
  }
  const { status, headers, body } = answer
  // This does not send the status. It is set for code that inspects the response.
  response.statusCode = status
  const bytes = Buffer.byteLength(body)
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nX-Content-Type-Options: nosniff\r\n`
  for (let index = 0; index < headers.length; index += 2)
    head += `${headers[index]}: ${headers[index + 1]}\r\n`
  head += `Content-Length: ${bytes}\r\n${dateLine()}\r\nConnection: keep-alive\r\n\r\n`
  if (isHead) write(response, socket, head, true)
  else if (typeof body === 'string') write(response, socket, head + body, bytes === body.length)
  else write(response, socket, Buffer.concat([Buffer.from(head, 'latin1'), body]), true)
}

/** Sends an entry from memory, like `sendRaw`, but built from as few pieces as possible. */
export function sendHit(response: ServerResponse, key: string, entry: Entry, nowMs: number): void {
  const { value, mediaType, asOfMs, expiresAtMs, rowExpiresAtMs } = entry
  const ageMs = nowMs - asOfMs
  const ttlMs = expiresAtMs - nowMs
  const socket = socketFor(response)
  const quoted = JSON.stringify(key)
  // `entry.bytes` has the length of the unescaped key, so keys that JSON escapes take the longer way. They are rare.
  const isUsual =
    mediaType === undefined &&
    quoted.length === key.length + 2 &&
    ttlMs !== Number.POSITIVE_INFINITY &&
    rowExpiresAtMs === Number.POSITIVE_INFINITY
  if (socket === undefined || !isUsual) {
    const read = { value, mediaType, ageMs, ttlMs, expiresInMs: expiresInMs(entry, nowMs) }
    sendRaw(response, readResponse(key, read))
    return
  }
  const text =
    'HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\n' +
    `Cache-Status: caching-layer; hit; ttl=${Math.floor(ttlMs / 1_000)}\r\nAge: ${Math.floor(ageMs / 1_000)}\r\n` +
    'Content-Type: application/json; charset=utf-8\r\n' +
    `Content-Length: ${entry.bytes + bytesAround}\r\n${dateLine()}\r\nConnection: keep-alive\r\n\r\n` +
    `{"key":${quoted},"value":${value},"source":"cache"}`
  write(response, socket, text, entry.bytes === key.length + value.length)
}

const bytesAround = '{"key":"","value":,"source":"cache"}'.length

/**
 * Returns the socket to write the response to. Returns undefined if Node has to send it, because
 * - an earlier response on the connection has not been sent yet (pipelining),
 * - the client sends requests faster than it reads responses, and must be slowed down, or
 * - the connection is to be closed.
 */
export function socketFor({ socket, shouldKeepAlive }: ServerResponse): Socket | undefined {
  return socket && !socket.destroyed && socket.writableLength === 0 && shouldKeepAlive ? socket : undefined
}

/** Writes the response. `isAscii` is true if the text has as many bytes as UTF-16 units. */
export function write(
  response: ServerResponse,
  socket: Socket,
  text: string | Buffer,
  isAscii: boolean,
): void {
  if (typeof text === 'string') socket.write(text, isAscii ? 'latin1' : 'utf8')
  else socket.write(text)
  // Node waits for this event before it finishes the request, and begins the next one on the connection.
  response.emit('finish')
}

let dateSecond = 0
let dateText = ''

/** Returns the Date header (RFC 9110), computed once a second. */
export function dateLine(): string {
  const second = Math.floor(Date.now() / 1_000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = `Date: ${new Date(second * 1_000).toUTCString()}`
  }
  return dateText
}
