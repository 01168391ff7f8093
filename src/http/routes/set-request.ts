import type { Value } from '../../core/entry.js'
import { type Member, members, sourceOf } from '../../json/json-source.js'
import { parseObject, repeatedMember, unknownMember } from './body-object.js'
import { checkKey } from './key.js'
import { checkValue } from './value.js'

export interface SetRequest {
  readonly key: string
  readonly value: Value
}

const memberNames = ['key', 'value']

/** Returns the key and the value in the body of a set. Throws 422, also for an unknown member. */
export function setRequest(bytes: Buffer): SetRequest {
  const { text, body } = parseObject(bytes)
  const names = Object.keys(body)
  for (const name of names)
    if (name !== 'key' && name !== 'value') throw unknownMember(name, memberNames, 'a set')
  const given = members(text)
  if (given.length > names.length) throw repeatedMember(given)
  const source = () => sourceOf(text, given.find(({ name }) => name === 'value') as Member)
  return { key: checkKey(body.key), value: checkValue(body.value, source) }
}
