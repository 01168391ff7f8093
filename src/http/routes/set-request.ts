import type { Value } from '../../core/entry.js'
import { type Member, members, sourceOf } from '../../json/json-source.js'
import { checkKey } from './key.js'
import { nearestName } from './nearest-name.js'
import { RequestError } from './problem.js'
import { checkValue } from './value.js'

export interface SetRequest {
  readonly key: string
  readonly value: Value
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const memberNames = ['key', 'value']

/** Returns the key and the value in the body of a set. Throws 422, also for an unknown member. */
export function setRequest(bytes: Buffer): SetRequest {
  const { text, body } = parsed(bytes)
  const names = Object.keys(body)
  for (const name of names) if (name !== 'key' && name !== 'value') throw unknownMember(name)
  const given = members(text)
  if (given.length > names.length) throw repeatedMember(given)
  const source = () => sourceOf(text, given.find(({ name }) => name === 'value') as Member)
  return { key: checkKey(body.key), value: checkValue(body.value, source) }
}

function parsed(bytes: Buffer): { text: string; body: Readonly<Record<string, unknown>> } {
  let text: string
  let body: unknown
  try {
    text = utf8.decode(bytes)
    body = JSON.parse(text)
  } catch {
    throw new RequestError(422, 'body: not valid JSON in UTF-8')
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new RequestError(422, 'body: must be a JSON object')
  return { text, body: body as Record<string, unknown> }
}

function repeatedMember(given: readonly Member[]): RequestError {
  const again = given.find(({ name }, index) => given.findIndex((other) => other.name === name) < index)
  return new RequestError(422, `${again?.name}: given more than once`)
}

function unknownMember(name: string): RequestError {
  const near = nearestName(name, memberNames, 2)
  const shown = name.length > 64 ? `${name.slice(0, 64).toWellFormed()}...` : name.toWellFormed()
  return new RequestError(
    422,
    `${shown}: unknown member; ${near ? `did you mean ${near}?` : `a set has ${memberNames.join(' and ')}`}`,
  )
}
