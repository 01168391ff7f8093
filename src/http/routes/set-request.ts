import { z } from 'zod'
import type { Value } from '../../core/entry.js'
import type { WriteOptions } from '../../core/ports.js'
import { type Member, sourceOf } from '../../json/json-source.js'
import { parseObject } from './body-object.js'
import { isKey } from './key.js'
import { checked } from './schemas/checked.js'
import { groups, isGroups, isTtlSeconds, key, ttlSeconds, value } from './schemas/fields.js'
import { checkValue } from './value.js'
import { writeOptions } from './write-options.js'

export interface SetRequest {
  readonly key: string
  readonly value: Value
  readonly options: WriteOptions
}

export const setBody = z.strictObject({
  key,
  value,
  ttl_seconds: ttlSeconds.optional(),
  groups: groups.optional(),
})

export type SetBody = z.output<typeof setBody>

/** Returns the key, the value and the options in the body of a set. Throws 422, also for an unknown member. */
export function setRequest(bytes: Buffer): SetRequest {
  const { text, body, given } = parseObject(bytes, memberNames, 'a set')
  const source = () => sourceOf(text, given.find(({ name }) => name === 'value') as Member)
  const set = isSetBody(body) ? body : checked(setBody, body)
  return { key: set.key, value: checkValue(set.value, source), options: writeOptions(set) }
}

const memberNames = Object.keys(setBody.shape)

/**
 * Returns true for what the schema accepts, if there are no other members. The schema would take a third of the time of
 * a small set, so it is only asked what is wrong with a body.
 */
export function isSetBody(body: Readonly<Record<string, unknown>>): body is SetBody {
  const { key, value, ttl_seconds, groups } = body
  return (
    typeof key === 'string' &&
    isKey(key) &&
    value !== undefined &&
    value !== null &&
    (ttl_seconds === undefined || isTtlSeconds(ttl_seconds)) &&
    (groups === undefined || isGroups(groups))
  )
}
