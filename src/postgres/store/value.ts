import type { Value } from '../../core/entry.js'

/** Columns of a stored value: a string is stored as it is, anything else as JSON text. */
export interface ValueColumns {
  readonly text: string
  readonly contentType: string | null
}

const json = 'application/json'

export function toColumns(value: Value): ValueColumns {
  return value.startsWith('"')
    ? { text: JSON.parse(value) as string, contentType: null }
    : { text: value, contentType: json }
}

/** Returns the value of a row. Invalid JSON with a JSON content type is a string: other clients may write anything. */
export function fromColumns({ text, contentType }: ValueColumns): Value {
  return contentType === json && isJsonValue(text) ? text : JSON.stringify(text)
}

function isJsonValue(text: string): boolean {
  try {
    return JSON.parse(text) !== null
  } catch {
    return false
  }
}
