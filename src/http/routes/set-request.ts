import type { Value } from '../../core/entry.js'
import { memberText } from '../../json/json-source.js'
import { checkKey } from './key.js'
import { nearestName } from './nearest-name.js'
import { RequestError } from './problem.js'
import { checkValue } from './value.js'

export interface SetRequest {
  readonly key: string
  readonly value: Value
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const members = ['key', 'value']

/** Returns the key and the value in the body of a set. Throws 422, also for an unknown member. */
export function setRequest(bytes: Buffer): SetRequest {
  const { text, body } = parsed(bytes)
  for (const name of Object.keys(body)) if (name !== 'key' && name !== 'value') throw unknownMember(name)
  return { key: checkKey(body.key), value: checkValue(body.value, () => memberText(text, 'value') as string) }
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

function unknownMember(name: string): RequestError {
  const near = nearestName(name, members, 2)
  const shown = name.length > 64 ? `${name.slice(0, 64).toWellFormed()}...` : name.toWellFormed()
  return new RequestError(
    422,
    `${shown}: unknown member; ${near ? `did you mean ${near}?` : `a set has ${members.join(' and ')}`}`,
  )
}
