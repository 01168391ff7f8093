import type { ConditionalWrite } from '../../../core/ports.js'
import { type EntryTag, isEntryTag, type WriteCondition } from '../../../core/state/entry-tag.js'
import { elementTexts, type Member, sourceOf } from '../../../json/json-source.js'
import { type BodyObject, checkMembers, parseObject } from '../body-object.js'
import { entryGroups } from '../group.js'
import { checkKey } from '../key.js'
import { RequestError } from '../problem.js'
import { parseTtl } from '../ttl-seconds.js'
import { checkValue } from '../value.js'

export interface BatchRequest {
  /** True if all writes have to happen, or none. */
  readonly isAtomic: boolean
  /** Writes of distinct keys; without a value, deletes. */
  readonly writes: readonly ConditionalWrite[]
}

const maxItems = 1_000
const conditionNames = ['if_match', 'if_none_match']
const putNames = ['op', 'key', 'value', 'ttl_seconds', 'groups', ...conditionNames]
const deleteNames = ['op', 'key', ...conditionNames]

/** Returns the writes in the body of a batch. Throws 422, with the index of the item. */
export function batchRequest(bytes: Buffer): BatchRequest {
  const { text, body, given } = parseObject(bytes, ['items', 'atomic'], 'a batch')
  const { items, atomic = false } = body
  if (typeof atomic !== 'boolean') throw new RequestError(422, 'atomic: must be true or false')
  if (items === undefined) throw new RequestError(422, 'items: missing')
  if (!Array.isArray(items)) throw new RequestError(422, 'items: must be an array of objects')
  if (items.length > maxItems) throw new RequestError(422, `items: more than ${maxItems}`)
  const source = sourceOf(text, given.find(({ name }) => name === 'items') as Member)
  const texts = elementTexts(source)
  const writes = items.map((item, index) => writeOf(item, texts[index] as string, `items[${index}]`))
  requireDistinct(writes)
  return { isAtomic: atomic, writes }
}

function writeOf(item: unknown, text: string, path: string): ConditionalWrite {
  if (typeof item !== 'object' || item === null || Array.isArray(item))
    throw new RequestError(422, `${path}: must be an object`)
  const body = item as Readonly<Record<string, unknown>>
  const { op } = body
  if (op !== 'put' && op !== 'delete') throw new RequestError(422, `${path}.op: must be put or delete`)
  const isPut = op === 'put'
  const checked = checkMembers({ text, body }, isPut ? putNames : deleteNames, `a ${op}`, `${path}.`)
  const key = checkKey(body.key, `${path}.key`)
  const condition = conditionOf(body, path)
  if (!isPut) return { key, value: undefined, condition }
  return {
    key,
    value: jsonOf(checked, path),
    ttlMs: parseTtl(body.ttl_seconds, `${path}.ttl_seconds`),
    groups: entryGroups(body.groups, `${path}.groups`),
    condition,
  }
}

function jsonOf({ text, body, given }: BodyObject, path: string): string {
  try {
    return checkValue(body.value, () => sourceOf(text, given.find(({ name }) => name === 'value') as Member))
  } catch (error) {
    throw error instanceof RequestError ? new RequestError(error.status, `${path}.${error.message}`) : error
  }
}

function conditionOf(body: BodyObject['body'], path: string): WriteCondition {
  return {
    match: tagsOf(body.if_match, `${path}.if_match`),
    noneMatch: tagsOf(body.if_none_match, `${path}.if_none_match`),
  }
}

/** Returns the tags in a member: `*`, a tag, or an array of tags. The quotes of an ETag may be part of them. */
function tagsOf(tags: unknown, name: string): '*' | readonly EntryTag[] | undefined {
  if (tags === undefined || tags === '*') return tags
  const given: readonly unknown[] = Array.isArray(tags) ? tags : [tags]
  return given.map((tag) => {
    const text = typeof tag === 'string' ? tag.replace(/^"(.*)"$/s, '$1') : ''
    if (!isEntryTag(text))
      throw new RequestError(
        422,
        `${name}: must be *, an entity tag such as 1-2-0A1B2C3D, or an array of them`,
      )
    return text
  })
}

/** Throws 422 if a key is given twice: the order of the items does not count. */
function requireDistinct(writes: readonly ConditionalWrite[]): void {
  const first = new Map<string, number>()
  for (const [index, { key }] of writes.entries()) {
    const earlier = first.get(key)
    if (earlier !== undefined)
      throw new RequestError(422, `items[${index}].key: the same as that of items[${earlier}]`)
    first.set(key, index)
  }
}
