import { isJson, isText } from '../../../../src/core/media-type.js'
import type { Value } from '../api.js'
import { invalidValue } from '../arguments.js'

export interface EncodedValue {
  readonly body: string | Uint8Array
  readonly contentType: string
}

/** Returns the body of a value: bytes and texts of another type than JSON as they are, everything else as JSON. */
export function encoded(value: Value, contentType?: string): EncodedValue {
  if (value instanceof Uint8Array)
    return { body: value, contentType: contentType ?? 'application/octet-stream' }
  // As JSON, their bytes would be lost.
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value))
    throw invalidValue('value', 'bytes must be a Uint8Array')
  if (contentType !== undefined && !isJson(contentType)) {
    if (typeof value === 'string') return { body: value, contentType }
    throw invalidValue('value', `must be a string or a Uint8Array, because its type is ${contentType}`)
  }
  const body = jsonOf(value)
  if (body === undefined || body === 'null') throw invalidValue('value', 'must be JSON, and not null')
  return { body, contentType: contentType ?? 'application/json' }
}

/** Returns a value as its type says: parsed JSON, a string, or bytes. */
export function decoded(body: Buffer, contentType: string): unknown {
  if (isJson(contentType)) return JSON.parse(body.toString())
  return isText(contentType) ? body.toString() : new Uint8Array(body)
}

function jsonOf(value: Value): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    // A bigint, a cycle, or a toJSON that throws.
    throw invalidValue('value', `must be JSON: ${cause instanceof Error ? cause.message : cause}`, cause)
  }
}
