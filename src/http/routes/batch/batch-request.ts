import { z } from 'zod'
import type { ConditionalWrite } from '../../../core/ports.js'
import { type EntryTag, isEntryTag } from '../../../core/state/entry-tag.js'
import { elementTexts, type Member, sourceOf } from '../../../json/json-source.js'
import { checkMembers, parseObject } from '../body-object.js'
import { RequestError } from '../problem.js'
import { checked } from '../schemas/checked.js'
import { arrayOf, fault } from '../schemas/faults.js'
import { groups, key, ttlSeconds, value } from '../schemas/fields.js'
import { checkValue } from '../value.js'
import { writeOptions } from '../write-options.js'

export interface BatchRequest {
  /** True if all writes have to happen, or none. */
  readonly isAtomic: boolean
  /** Writes of distinct keys; without a value, deletes. */
  readonly writes: readonly ConditionalWrite[]
}

const maxItems = 1_000

/** Returns a tag without the quotes of an ETag; undefined for what is none. */
function tagOf(given: unknown): EntryTag | undefined {
  const text = typeof given === 'string' ? given.replace(/^"(.*)"$/s, '$1') : ''
  return isEntryTag(text) ? text : undefined
}

function tagsFault(given: unknown): string | undefined {
  const all: readonly unknown[] = Array.isArray(given) ? given : [given]
  const areTags = all.length > 0 && all.every((tag) => tagOf(tag) !== undefined)
  return given === '*' || areTags
    ? undefined
    : 'must be *, an entity tag such as 1-2-0A1B2C3D, or an array of them'
}

const tags = z
  .custom<string | readonly string[]>()
  .check(fault(tagsFault))
  .meta({
    anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }],
    description: '`*`, the `etag` of an entry, or an array of them.',
    examples: ['*'],
  })
const conditions = { if_match: tags.optional(), if_none_match: tags.optional() }

const putItem = z.strictObject({
  op: z.literal('put'),
  key,
  value,
  ttl_seconds: ttlSeconds.optional(),
  groups: groups.optional(),
  ...conditions,
})
const deleteItem = z.strictObject({ op: z.literal('delete'), key, ...conditions })
const item = z.discriminatedUnion('op', [putItem, deleteItem])

/** Body of a request that writes and deletes several entries. */
export const batchBody = z.strictObject({
  items: arrayOf(item, maxItems, 'objects').meta({
    description: 'Writes and deletes of distinct keys.',
    examples: [[{ op: 'put', key: 'user:42', value: 1, if_none_match: '*' }]],
  }),
  atomic: z
    .boolean('must be true or false')
    .optional()
    .meta({ description: 'All items happen in one transaction, or none.' }),
})

type Item = z.output<typeof item>

/** Returns the writes in the body of a batch. Throws 413 or 422, with the index of the item. */
export function batchRequest(bytes: Buffer, maxValueBytes: number): BatchRequest {
  const { text, body, given } = parseObject(bytes, Object.keys(batchBody.shape), 'a batch')
  const { items: unchecked } = body
  if (Array.isArray(unchecked) && unchecked.length <= maxItems) {
    const source = sourceOf(text, given.find(({ name }) => name === 'items') as Member)
    const texts = elementTexts(source)
    const values = unchecked.map((one, index) =>
      valueTextIn(one, { text: texts[index] as string, wholeLength: source.length }, `items[${index}]`),
    )
    const { items, atomic = false } = checked(batchBody, body)
    requireDistinct(items)
    const writes = items.map((one, index) => writeOf(one, values[index] as ValueText))
    requireSmall(writes, maxValueBytes)
    return { isAtomic: atomic, writes }
  }
  checked(batchBody, body)
  throw new RequestError(422, 'items: must be an array of objects')
}

type ValueText = () => string

/** Text of an item, and the length of the text of all of them. */
interface ItemText {
  readonly text: string
  readonly wholeLength: number
}

/** Checks the members of an item. Returns a function that returns the text of its value. Throws 422. */
function valueTextIn(item: unknown, { text, wholeLength }: ItemText, path: string): ValueText {
  if (typeof item !== 'object' || item === null || Array.isArray(item))
    throw new RequestError(422, `${path}: must be an object`)
  const body = item as Readonly<Record<string, unknown>>
  const { op } = body
  if (op !== 'put' && op !== 'delete') throw new RequestError(422, `${path}.op: must be put or delete`)
  const names = Object.keys((op === 'put' ? putItem : deleteItem).shape)
  const { given } = checkMembers({ text, body }, names, `a ${op}`, `${path}.`)
  return () => sourceOf(text, given.find(({ name }) => name === 'value') as Member, wholeLength)
}

function writeOf(item: Item, valueText: ValueText): ConditionalWrite {
  const condition = { match: tagsIn(item.if_match), noneMatch: tagsIn(item.if_none_match) }
  const { key } = item
  if (item.op === 'delete') return { key, value: undefined, condition }
  return { key, value: checkValue(item.value, valueText), ...writeOptions(item), condition }
}

function tagsIn(given: string | readonly string[] | undefined): '*' | readonly EntryTag[] | undefined {
  if (given === undefined || given === '*') return given
  const all = typeof given === 'string' ? [given] : given
  return all.map((tag) => tagOf(tag) as EntryTag)
}

/** Throws 413 if a value is larger than that of a set may be. */
function requireSmall(writes: readonly ConditionalWrite[], maxValueBytes: number): void {
  const index = writes.findIndex(({ value = '' }) => Buffer.byteLength(value) > maxValueBytes)
  if (index >= 0) throw new RequestError(413, `items[${index}].value: larger than ${maxValueBytes} bytes`)
}

/** Throws 422 if a key is given twice: the order of the items does not count. */
function requireDistinct(items: readonly Item[]): void {
  const first = new Map<string, number>()
  for (const [index, { key }] of items.entries()) {
    const earlier = first.get(key)
    if (earlier !== undefined)
      throw new RequestError(422, `items[${index}].key: the same as that of items[${earlier}]`)
    first.set(key, index)
  }
}
