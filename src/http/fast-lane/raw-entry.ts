import type { ServerResponse } from 'node:http'
import type { Entry } from '../../core/entry.js'
import { expiresInMs } from '../../core/reads/read-result.js'
import { entryTag } from '../../core/state/entry-tag.js'
import { entryResponse } from '../routes/entry/entry-response.js'
import { dateLine, sendRaw, socketFor, write } from './raw-response.js'

/** Sends the response to a GET or HEAD of an entry from memory. JSON is sent from as few pieces as possible. */
export function sendEntryHit(response: ServerResponse, entry: Entry, nowMs: number, isHead: boolean): void {
  const { key, value, mediaType, asOfMs, expiresAtMs, rowExpiresAtMs } = entry
  const ageMs = nowMs - asOfMs
  const ttlMs = expiresAtMs - nowMs
  const socket = socketFor(response)
  const isUsual =
    mediaType === undefined &&
    ttlMs !== Number.POSITIVE_INFINITY &&
    rowExpiresAtMs === Number.POSITIVE_INFINITY
  if (socket === undefined || !isUsual) {
    const read = { value, mediaType, written: entry, ageMs, ttlMs, expiresInMs: expiresInMs(entry, nowMs) }
    sendRaw(response, entryResponse(read), isHead)
    return
  }
  const isAscii = entry.bytes === key.length + value.length
  const text =
    'HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\n' +
    `Cache-Status: caching-layer; hit; ttl=${Math.floor(ttlMs / 1_000)}\r\nAge: ${Math.floor(ageMs / 1_000)}\r\n` +
    `ETag: "${entryTag(entry)}"\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${isAscii ? value.length : Buffer.byteLength(value)}\r\n${dateLine()}\r\nConnection: keep-alive\r\n\r\n`
  write(response, socket, isHead ? text : text + value, isAscii || isHead)
}
