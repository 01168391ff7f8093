import type { Value } from '../../core/entry.js'
import type { WriteOptions } from '../../core/ports.js'
import { type Member, sourceOf } from '../../json/json-source.js'
import { parseObject } from './body-object.js'
import { entryGroups } from './group.js'
import { checkKey } from './key.js'
import { parseTtl } from './ttl-seconds.js'
import { checkValue } from './value.js'

export interface SetRequest {
  readonly key: string
  readonly value: Value
  readonly options: WriteOptions
}

const memberNames = ['key', 'value', 'ttl_seconds', 'groups']

/** Returns the key, the value and the options in the body of a set. Throws 422, also for an unknown member. */
export function setRequest(bytes: Buffer): SetRequest {
  const { text, body, given } = parseObject(bytes, memberNames, 'a set')
  const source = () => sourceOf(text, given.find(({ name }) => name === 'value') as Member)
  return { key: checkKey(body.key), value: checkValue(body.value, source), options: optionsOf(body) }
}

function optionsOf(body: Readonly<Record<string, unknown>>): WriteOptions {
  const { ttl_seconds: ttlSeconds, groups } = body
  return { ttlMs: parseTtl(ttlSeconds), groups: entryGroups(groups) }
}
