import type { Random } from '../support/random.js'

/**
 * Returns a value that no other write has, so that a read shows which write it saw. Most values are strings, some are
 * JSON objects, and a few are too long for one packet. The result is the text that the table's column gets.
 */
export function uniqueValue(name: string, random: Random): string {
  const padding = random.chance(0.05) ? 'x'.repeat(random.integer(500, 6_000)) : ''
  if (random.chance(0.2)) return JSON.stringify({ name, padding })
  return padding === '' ? name : `${name} ${padding}`
}

export function isObject(text: string): boolean {
  return text.startsWith('{')
}

/** Returns the value as a sidecar accepts it. */
export function toJson(text: string): unknown {
  return isObject(text) ? JSON.parse(text) : text
}

/** Returns the text of a value that a sidecar returned. */
export function fromJson(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The same, as SQL that takes the column `value`, which is not altered twice; see `alter`. */
export const alterInSql = `case
  when value like 'altered %' or value like '{"altered":true,%' then value
  when value like '{%' then '{"altered":true,' || substr(value, 2)
  else 'altered ' || value
end`

/** Returns a value as changed by a user's trigger on the table. */
export function alter(text: string): string {
  return isObject(text) ? `{"altered":true,${text.slice(1)}` : `altered ${text}`
}

export function isAltered(text: string): boolean {
  return text.startsWith('altered ') || text.startsWith('{"altered":true,')
}

/** The value as it was sent, whether or not a trigger has altered it. */
export function asSent(text: string): string {
  if (!isAltered(text)) return text
  return text.startsWith('{') ? `{${text.slice('{"altered":true,'.length)}` : text.slice('altered '.length)
}

/** Returns a short form of a value, for people. */
export function shortValue(text: string | null): string {
  if (text === null) return 'absent'
  return text.length <= 40 ? text : `${text.slice(0, 30)}...(${text.length})`
}

export function shortKey(key: string): string {
  return key.length <= 16 ? key : `${key.slice(0, 8)}...(${key.length})`
}
