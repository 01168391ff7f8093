/**
 * The text of JSON values as it was received. JSON.parse gives numbers that JavaScript has, objects with other orders of
 * members, and no source; so what is kept or compared is cut out of the text that it has accepted.
 */

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

/** Returns the text without what makes no difference: space between tokens, and other spellings of strings. */
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

/** Returns where the string ends that begins at `start` with its quotation mark. */
export function stringEnd(text: string, start: number): number {
  for (let from = start + 1; ; ) {
    const end = text.indexOf('"', from)
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes++
    if (backslashes % 2 === 0) return end + 1
    from = end + 1
  }
}

/** Returns where the value ends that begins at `start`. */
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

/** Returns where a number, `true`, `false` or `null` ends. */
export function scalarEnd(text: string, start: number): number {
  for (let index = start; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit === comma || unit === closingBrace || unit === closingBracket || unit <= 32) return index
  }
  return text.length
}
