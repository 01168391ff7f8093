import type { Value } from '../../core/entry.js'

/** How a value stands in the table: a string as itself, anything else as JSON text. */
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

/** What is marked as JSON and is none (anybody may write to the table) is a string. */
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
