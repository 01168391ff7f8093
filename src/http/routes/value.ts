import type { Value } from '../../core/entry.js'
import { checkJsonText, checkText } from './json-text.js'
import { RequestError } from './problem.js'

/**
 * Returns the JSON text of any value other than null. A string is spelled by JSON.stringify, because the table holds it
 * as plain text. Any other value keeps its text as received: numbers with all their digits, members in their order.
 * Throws 422.
 */
export function checkValue(value: unknown, received: () => string): Value {
  if (value === undefined) throw new RequestError(422, 'value: missing')
  if (value === null) throw new RequestError(422, 'value: must not be null')
  if (typeof value === 'string') {
    checkText(value)
    return JSON.stringify(value)
  }
  const text = received()
  checkJsonText(text)
  return text
}
