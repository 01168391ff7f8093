import type { Context } from 'koa'
import {
  asBinary,
  type Content,
  contentTypeOf,
  isBinary,
  isJson,
  isMediaType,
  isText,
  maxTypeLength,
} from '../../../core/media-type.js'
import type { ReadResult } from '../../../core/reads/read-result.js'
import { requireOnce } from '../header-checks.js'
import { RequestError } from '../problem.js'
import { checkValue } from '../value.js'

/** Type of a body without a Content-Type (RFC 9110, section 8.3). */
const unknownType = 'application/octet-stream'
const plainJson = 'application/json'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Share of `CACHE_MAX_VALUE_BYTES` that a binary value may take: base64 makes it a third longer. */
const shareOfBinary = 0.75

export interface ReceivedContent extends Content {
  /** True if a read returns exactly the bytes that were received. */
  readonly isExact: boolean
}

/** Returns the Content-Type of a request. Throws 400 or 422. */
export function checkContentType(ctx: Context): string {
  requireOnce(ctx, 'Content-Type')
  const type = ctx.get('Content-Type').trim() || unknownType
  if (type.length > maxTypeLength)
    throw new RequestError(422, `Content-Type: longer than ${maxTypeLength} characters`)
  if (!isMediaType(type)) throw new RequestError(422, 'Content-Type: not a media type')
  return type
}

/**
 * Returns the content of a body. JSON must be valid. A text is one that PostgreSQL can hold; a body that is none, in
 * spite of its type, is binary. Throws 413 or 422.
 */
export function contentOf(bytes: Buffer, contentType: string, maxValueBytes: number): ReceivedContent {
  if (isJson(contentType)) return jsonOf(bytes, contentType)
  const text = isText(contentType) ? textOf(bytes) : undefined
  if (text !== undefined) return { value: JSON.stringify(text), mediaType: contentType, isExact: true }
  const maxBytes = Math.floor(maxValueBytes * shareOfBinary)
  if (bytes.length > maxBytes) throw new RequestError(413, `body: larger than ${maxBytes} bytes, and binary`)
  return { value: `"${bytes.toString('base64')}"`, mediaType: asBinary(contentType), isExact: true }
}

function jsonOf(bytes: Buffer, contentType: string): ReceivedContent {
  let text: string
  let parsed: unknown
  try {
    text = utf8.decode(bytes)
    parsed = JSON.parse(text)
  } catch {
    throw new RequestError(422, 'body: not valid JSON in UTF-8, as its Content-Type says', 'invalid-json')
  }
  const spelt = checkValue(parsed, () => text)
  return contentType === plainJson
    ? { value: spelt, isExact: spelt === text }
    : { value: text, mediaType: contentType, isExact: true }
}

/** Returns undefined for what is not UTF-8, or contains U+0000. */
function textOf(bytes: Buffer): string | undefined {
  if (bytes.includes(0)) return undefined
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** Returns the body and the Content-Type of a value. */
export function bodyOf(
  value: string,
  mediaType: ReadResult['mediaType'],
): { readonly body: string | Buffer; readonly contentType: string } {
  if (mediaType === undefined) return { body: value, contentType: plainJson }
  const contentType = contentTypeOf(mediaType)
  if (isBinary(mediaType)) return { body: Buffer.from(value.slice(1, -1), 'base64'), contentType }
  return { body: isJson(mediaType) ? value : (JSON.parse(value) as string), contentType }
}
