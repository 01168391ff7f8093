import { scalarEnd, stringEnd } from '../../json/json-source.js'
import { RequestError } from './problem.js'

/** Deepest nesting: far more than people write by hand, far less than JSON.stringify and other parsers can handle. */
const maxDepth = 256

const [quote, minus, zero, nine] = [34, 45, 48, 57]
const [openingBracket, closingBracket, openingBrace, closingBrace] = [91, 93, 123, 125]

/** Throws 422 for a value that PostgreSQL or other JSON readers cannot represent. `text` is valid JSON. */
export function checkJsonText(text: string): void {
  // Only an escape can stand for U+0000 or a surrogate in valid UTF-8.
  const mayHoldBadText = /\\u(?:0000|d[89a-f])/i.test(text)
  let depth = 0
  for (let index = 0; index < text.length; ) {
    const unit = text.charCodeAt(index)
    if (unit === quote) {
      const end = stringEnd(text, index)
      if (mayHoldBadText) checkText(JSON.parse(text.slice(index, end)) as string)
      index = end
    } else if (unit === minus || (unit >= zero && unit <= nine)) {
      const end = scalarEnd(text, index)
      // JSON.parse reads 1e400 as Infinity, which JSON cannot express.
      if (!Number.isFinite(Number(text.slice(index, end))))
        throw new RequestError(422, 'value: contains a number too large')
      index = end
    } else {
      if (unit === openingBrace || unit === openingBracket) depth++
      else if (unit === closingBrace || unit === closingBracket) depth--
      if (depth > maxDepth) throw new RequestError(422, `value: nested more than ${maxDepth} levels deep`)
      index++
    }
  }
}

/** Throws 422 for U+0000, which PostgreSQL's text cannot hold, and for lone surrogates, which UTF-8 cannot encode. */
export function checkText(text: string): void {
  if (text.includes('\0')) throw new RequestError(422, 'value: must not contain U+0000')
  if (!text.isWellFormed()) throw new RequestError(422, 'value: contains a lone surrogate')
}
