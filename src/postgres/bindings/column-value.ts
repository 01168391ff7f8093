/** Types of columns that can be part of a key, as PostgreSQL names them. */
export const keyTypes = [
  'text',
  'character varying',
  'smallint',
  'integer',
  'bigint',
  'uuid',
  'date',
] as const

export type KeyType = (typeof keyTypes)[number]

const integer = /^(?:0|-?[1-9]\d{0,18})$/
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const date = /^(\d{4,7})-(\d{2})-(\d{2})( BC)?$/
/** Lengths of the months, in a leap year. */
const daysIn = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * Returns the value of a column whose spelling in a key is `text`; undefined if no row can have it. Other spellings of
 * a value (`042`, an upper-case uuid, a needless `%41`) are no key of any row, so PostgreSQL never has to reject one.
 */
export function columnValue(text: string, type: KeyType): string | undefined {
  switch (type) {
    case 'text':
    case 'character varying':
      return /%(?!25|3A)/.test(text) || text.includes('\0')
        ? undefined
        : text.replaceAll('%3A', ':').replaceAll('%25', '%')
    case 'smallint':
      return isInteger(text, 15n) ? text : undefined
    case 'integer':
      return isInteger(text, 31n) ? text : undefined
    case 'bigint':
      return isInteger(text, 63n) ? text : undefined
    case 'uuid':
      return uuid.test(text) ? text : undefined
    case 'date':
      return isDate(text) ? text : undefined
  }
}

function isInteger(text: string, bits: bigint): boolean {
  if (!integer.test(text)) return false
  // Nine digits fit into 31 bits. A BigInt takes as long as the rest of this function.
  if (bits > 15n && text.length <= 9) return true
  const value = BigInt(text)
  return value >= -(1n << bits) && value < 1n << bits
}

function isDate(text: string): boolean {
  if (text === 'infinity' || text === '-infinity') return true
  const match = date.exec(text)
  if (match === null) return false
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number]
  // There is no year 0: 1 BC comes before 1. The first day is that of Julian day 0.
  const isInRange = match[4]
    ? year <= 4713 || (year === 4714 && (month === 12 || (month === 11 && day >= 24)))
    : year <= 5_874_897
  const astronomical = match[4] ? 1 - year : year
  const isLeap = (astronomical % 4 === 0 && astronomical % 100 !== 0) || astronomical % 400 === 0
  const days = month === 2 && !isLeap ? 28 : (daysIn[month - 1] ?? 0)
  return isInRange && year > 0 && day >= 1 && day <= days
}
