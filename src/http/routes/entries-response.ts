import { Readable } from 'node:stream'
import type { Context } from 'koa'
import type { ReadResult } from '../../core/reads/read-result.js'
import { entryTag } from '../../core/state/entry-tag.js'
import type { Source } from '../../telemetry/request-stats.js'
import type { ResponseRoom } from '../server/response-room.js'
import { membersAfter, membersBefore } from './read-response.js'

/** Length up to which a response is sent in one piece, and length of the pieces of a longer one. */
const pieceLength = 64 * 1024

/**
 * Sends the response to a request for several entries. The values are JSON text already. A long response is written in
 * pieces, so that there is never a second copy of all values. Its room is released when it has been sent.
 */
export function sendEntries(
  ctx: Context,
  keys: readonly string[],
  reads: readonly ReadResult[],
  room: ResponseRoom,
): void {
  const parts = partsOf(keys, reads)
  let length = 0
  let bytes = 0
  for (const part of parts) {
    length += part.length
    bytes += Buffer.byteLength(part)
  }
  ctx.set('Cache-Status', cacheStatusOf(reads))
  ctx.set(
    'Age',
    String(Math.floor(reads.reduce((oldestMs, { ageMs }) => Math.max(oldestMs, ageMs), 0) / 1_000)),
  )
  ctx.type = 'application/json; charset=utf-8'
  ctx.state.source = sourceOf(reads)
  if (length <= pieceLength) {
    ctx.body = parts.join('')
    room.release()
    return
  }
  ctx.body = Readable.from(piecesOf(parts), { highWaterMark: 1 })
  ctx.length = bytes
  room.releaseAfter(ctx.res)
}

function partsOf(keys: readonly string[], reads: readonly ReadResult[]): readonly string[] {
  const parts = ['{"entries":[']
  const missing: string[] = []
  let separator = ''
  for (const [index, key] of keys.entries()) {
    const read = reads[index] as ReadResult
    if (read.value === undefined) missing.push(JSON.stringify(key))
    else {
      parts.push(`${separator}{${membersBefore(key)}`, read.value, `${membersAfter(read)}${tagMember(read)}}`)
      separator = ','
    }
  }
  parts.push(`],"missing":[${missing.join()}]}`)
  return parts
}

/** Returns the member with the entity tag, for a condition of a batch; empty for a pending write. */
function tagMember({ written }: ReadResult): string {
  return written === undefined ? '' : `,"etag":"\\"${entryTag(written)}\\""`
}

function* piecesOf(parts: readonly string[]): Generator<Buffer> {
  let from = 0
  let length = 0
  for (const [index, part] of parts.entries()) {
    length += part.length
    if (length < pieceLength && index < parts.length - 1) continue
    yield Buffer.from(parts.slice(from, index + 1).join(''))
    from = index + 1
    length = 0
  }
}

/** Returns the Cache-Status of all entries together (RFC 9211). */
function cacheStatusOf(reads: readonly ReadResult[]): string {
  const forwarded = reads.filter((read) => read.forwarded !== undefined)
  if (forwarded.length === 0) return 'caching-layer; hit'
  if (forwarded.length < reads.length) return 'caching-layer; fwd=partial'
  return `caching-layer; fwd=${forwarded.every((read) => read.forwarded === 'request') ? 'request' : 'miss'}`
}

/** Returns the least certain source of the entries, for the statistics. */
function sourceOf(reads: readonly ReadResult[]): Source {
  if (reads.some(({ forwarded }) => forwarded !== undefined)) return 'db'
  return reads.find(({ stale }) => stale !== undefined)?.stale ?? 'cache'
}
