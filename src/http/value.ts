import type { Value } from '../core/entry.js'
import { RequestError } from './problem.js'

/** Far more than people write by hand, far less than JSON.stringify and other people's parsers can take. */
const maxDepth = 256

/** Any JSON value other than null, as parsed, back into JSON text. Throws 422. */
export function checkValue(value: unknown): Value {
  if (value === undefined) throw new RequestError(422, 'value: missing')
  if (value === null) throw new RequestError(422, 'value: must not be null')
  check(value, 0)
  return JSON.stringify(value)
}

function check(value: unknown, depth: number): void {
  if (typeof value === 'string') checkText(value)
  else if (typeof value === 'number') {
    // JSON.parse reads 1e400 as Infinity, which no JSON text stands for.
    if (!Number.isFinite(value)) throw new RequestError(422, 'value: contains a number too large')
  } else if (typeof value === 'object' && value !== null) {
    if (depth >= maxDepth) throw new RequestError(422, `value: nested more than ${maxDepth} levels deep`)
    for (const [name, member] of Object.entries(value)) {
      checkText(name)
      check(member, depth + 1)
    }
  }
}

/** What PostgreSQL's text cannot hold, and what UTF-8 cannot encode. */
function checkText(text: string): void {
  if (text.includes('\0')) throw new RequestError(422, 'value: must not contain U+0000')
  if (!text.isWellFormed()) throw new RequestError(422, 'value: contains a lone surrogate')
}
