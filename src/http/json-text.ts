import { RequestError } from './problem.js'

/**
 * The text of JSON values as it was received. JSON.parse gives numbers that JavaScript has, objects with other orders of
 * members, and no source; so what is stored is cut out of the text that it has accepted.
 */

/** Far more than people write by hand, far less than JSON.stringify and other people's parsers can take. */
const maxDepth = 256

/**
 * Returns the text of a member of a JSON object, where `text` is that object and JSON.parse accepts it; the last one, if
 * there are several of that name. Undefined if there is none.
 */
export function memberText(text: string, name: string): string | undefined {
  let found: string | undefined
  let index = skipSpace(text, skipSpace(text, 0) + 1)
  while (text.charCodeAt(index) !== closingBrace) {
    const nameEnd = stringEnd(text, index)
    const isNamed = JSON.parse(text.slice(index, nameEnd)) === name
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1)
    const end = valueEnd(text, start)
    if (isNamed) found = ownText(text, start, end)
    index = skipSpace(text, end)
    if (text.charCodeAt(index) === comma) index = skipSpace(text, index + 1)
  }
  return found
}

/**
 * V8's slices keep the text that they are from: a short value would hold a body of a megabyte of spaces. One that is most of the
 * body need not be copied.
 */
function ownText(text: string, start: number, end: number): string {
  const slice = text.slice(start, end)
  const isMost = text.length - slice.length <= slice.length >> 2
  return isMost ? slice : Buffer.from(slice).toString()
}

/** Throws 422 for a value that other readers, or PostgreSQL, cannot take. `text` is valid JSON. */
export function checkJsonText(text: string): void {
  // An escape that stands for U+0000 or a surrogate; in valid UTF-8 nothing else does.
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
      // JSON.parse reads 1e400 as Infinity, which no JSON text stands for.
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

/** Throws 422 for what PostgreSQL's text cannot hold, and for what UTF-8 cannot encode. */
export function checkText(text: string): void {
  if (text.includes('\0')) throw new RequestError(422, 'value: must not contain U+0000')
  if (!text.isWellFormed()) throw new RequestError(422, 'value: contains a lone surrogate')
}

const [quote, comma, minus, zero, nine, backslash] = [34, 44, 45, 48, 57, 92]
const [openingBracket, closingBracket, openingBrace, closingBrace] = [91, 93, 123, 125]

function skipSpace(text: string, from: number): number {
  let index = from
  for (;;) {
    const unit = text.charCodeAt(index)
    if (unit !== 32 && unit !== 10 && unit !== 13 && unit !== 9) return index
    index++
  }
}

/** Where the string ends that begins at `start` with its quotation mark. */
function stringEnd(text: string, start: number): number {
  for (let from = start + 1; ; ) {
    const end = text.indexOf('"', from)
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes++
    if (backslashes % 2 === 0) return end + 1
    from = end + 1
  }
}

/** Where the value ends that begins at `start`. */
function valueEnd(text: string, start: number): number {
  const first = text.charCodeAt(start)
  if (first === quote) return stringEnd(text, start)
  if (first !== openingBrace && first !== openingBracket) return scalarEnd(text, start)
  let depth = 0
  for (let index = start; ; ) {
    const unit = text.charCodeAt(index)
    if (unit === quote) {
      index = stringEnd(text, index)
      continue
    }
    index++
    if (unit === openingBrace || unit === openingBracket) depth++
    else if ((unit === closingBrace || unit === closingBracket) && --depth === 0) return index
  }
}

/** Where a number, `true`, `false` or `null` ends. */
function scalarEnd(text: string, start: number): number {
  for (let index = start; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit === comma || unit === closingBrace || unit === closingBracket || unit <= 32) return index
  }
  return text.length
}
