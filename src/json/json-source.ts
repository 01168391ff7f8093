/**
 * Functions that cut values out of JSON text as it was received. JSON.parse rounds numbers to those of JavaScript, may
 * reorder the members of objects, and does not keep the source. So text that is stored or compared is cut out of the
 * text that JSON.parse has accepted.
 */

/**
 * Returns the text of a member of a JSON object; undefined if there is none. If several members have the name, the last
 * one counts. JSON.parse must accept `text`, and its value must be an object.
 */
export function memberText(text: string, name: string): string | undefined {
  const found = members(text).findLast((member) => member.name === name)
  return found && sourceOf(text, found)
}

export interface Member {
  readonly name: string
  /** Position at which the text of its value begins, and the one after its end. */
  readonly start: number
  readonly end: number
}

/** Returns the members of a JSON object in order. JSON.parse must accept `text`, and its value must be an object. */
export function members(text: string): readonly Member[] {
  const found: Member[] = []
  let index = skipSpace(text, skipSpace(text, 0) + 1)
  while (text.charCodeAt(index) !== closingBrace) {
    const nameEnd = stringEnd(text, index)
    const name = JSON.parse(text.slice(index, nameEnd))
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1)
    const end = valueEnd(text, start)
    found.push({ name, start, end })
    index = skipSpace(text, end)
    if (text.charCodeAt(index) === comma) index = skipSpace(text, index + 1)
  }
  return found
}

/** Returns the texts of the elements of a JSON array. JSON.parse must accept `text`, and its value must be an array. */
export function elementTexts(text: string): readonly string[] {
  const found: string[] = []
  let index = skipSpace(text, skipSpace(text, 0) + 1)
  while (text.charCodeAt(index) !== closingBracket) {
    const end = valueEnd(text, index)
    found.push(text.slice(index, end))
    index = skipSpace(text, end)
    if (text.charCodeAt(index) === comma) index = skipSpace(text, index + 1)
  }
  return found
}

/**
 * Returns the text of a member's value as a string that does not retain the whole text. V8's slices keep the text that
 * they come from: a short value could retain a body with a megabyte of spaces. A slice that makes up most of the text
 * need not be copied. `wholeLength` is the length of the text that `text` is a slice of itself.
 */
export function sourceOf(text: string, { start, end }: Member, wholeLength = text.length): string {
  const slice = text.slice(start, end)
  const isMost = wholeLength - slice.length <= slice.length >> 2
  return isMost ? slice : Buffer.from(slice).toString()
}

/** Returns the text in a canonical form: without space between tokens, and with one spelling of each string. */
export function compactText(text: string): string {
  let compact = ''
  for (let index = skipSpace(text, 0); index < text.length; index = skipSpace(text, index)) {
    const unit = text.charCodeAt(index)
    const isOne = unit === comma || unit === colon || isBracket(unit)
    const end = isOne ? index + 1 : unit === quote ? stringEnd(text, index) : scalarEnd(text, index)
    const token = text.slice(index, end)
    compact += unit === quote ? JSON.stringify(JSON.parse(token)) : token
    index = end
  }
  return compact
}

const [quote, comma, colon, backslash] = [34, 44, 58, 92]
const [openingBracket, closingBracket, openingBrace, closingBrace] = [91, 93, 123, 125]

function isBracket(unit: number): boolean {
  return unit === openingBracket || unit === closingBracket || unit === openingBrace || unit === closingBrace
}

function skipSpace(text: string, from: number): number {
  let index = from
  for (;;) {
    const unit = text.charCodeAt(index)
    if (unit !== 32 && unit !== 10 && unit !== 13 && unit !== 9) return index
    index++
  }
}

/** Returns the end of the string whose opening quotation mark is at `start`. */
export function stringEnd(text: string, start: number): number {
  for (let from = start + 1; ; ) {
    const end = text.indexOf('"', from)
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes++
    if (backslashes % 2 === 0) return end + 1
    from = end + 1
  }
}

/** Returns the end of the value that begins at `start`. */
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

/** Returns the end of a number, `true`, `false` or `null`. */
export function scalarEnd(text: string, start: number): number {
  for (let index = start; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit === comma || unit === closingBrace || unit === closingBracket || unit <= 32) return index
  }
  return text.length
}
