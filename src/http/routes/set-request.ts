import type { Value } from '../../core/entry.js'
import { type Member, sourceOf } from '../../json/json-source.js'
import { parseObject } from './body-object.js'
import { checkKey } from './key.js'
import { checkValue } from './value.js'

export interface SetRequest {
  readonly key: string
  readonly value: Value
}

const memberNames = ['key', 'value']

/** Returns the key and the value in the body of a set. Throws 422, also for an unknown member. */
export function setRequest(bytes: Buffer): SetRequest {
  const { text, body, given } = parseObject(bytes, memberNames, 'a set')
  const source = () => sourceOf(text, given.find(({ name }) => name === 'value') as Member)
  return { key: checkKey(body.key), value: checkValue(body.value, source) }
}
