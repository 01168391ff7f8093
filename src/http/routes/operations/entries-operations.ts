import { z } from 'zod'
import { entriesBody } from '../entries-request.js'
import { invalidateBody } from '../invalidate-request.js'
import { countQuery, listQuery } from '../list-request.js'
import { bodyKinds, inputKinds, readKinds, removalKinds } from '../openapi/common-problems.js'
import { component } from '../openapi/components.js'
import type { Operation } from '../openapi/operation.js'
import { groups, key } from '../schemas/fields.js'
import { etagMember, expiresInSeconds, readBody, valueMembers } from './bodies.js'

const count = z.int().min(0)

const taggedEntry = component(
  'TaggedEntry',
  z.strictObject({ ...readBody.shape, etag: etagMember.optional() }),
)

export const entriesAnswer = component(
  'EntriesResponse',
  z.strictObject({
    entries: z.array(taggedEntry).meta({ description: 'In the order of the request, each key once.' }),
    missing: z.array(key).meta({ description: 'The keys without an entry.' }),
  }),
)

export const getEntriesOperation: Operation = {
  id: 'getEntries',
  summary: 'Reads several entries',
  headers: ['Cache-Control', 'Change-Feed', 'Cache-Token'],
  body: component('EntriesRequest', entriesBody),
  answers: {
    200: {
      description: 'The entries, and the keys that have none',
      content: entriesAnswer,
      headers: ['Cache-Status', 'Age'],
      optionalHeaders: ['Change-Feed'],
    },
  },
  problems: [
    'not-in-memory',
    'response-too-large',
    'too-large',
    'too-large-together',
    ...bodyKinds,
    ...readKinds,
  ],
}

const listedEntry = component(
  'ListedEntry',
  z.strictObject({
    key,
    version: z.string().meta({ description: 'Changes with every write of the entry.' }),
    size: count.meta({ description: 'Size of the value in the database, in bytes.' }),
    expires_in_seconds: expiresInSeconds
      .nullable()
      .meta({ description: 'Remaining time to live; null if the entry does not expire.' }),
    groups: groups.optional(),
    value: valueMembers.value.optional(),
    encoding: valueMembers.encoding,
  }),
)

export const listAnswer = component(
  'ListResponse',
  z.strictObject({
    entries: z.array(listedEntry),
    next: z
      .string()
      .optional()
      .meta({ description: 'Value of `after` for the next page; absent on the last one.' }),
  }),
)

export const listOperation: Operation = {
  id: 'listEntries',
  summary: 'Lists entries in the order of their keys, in pages',
  query: listQuery,
  answers: { 200: { description: 'A page', content: listAnswer, optionalHeaders: ['Link'] } },
  problems: ['too-many-lists', 'slow-list', ...inputKinds, ...readKinds],
}

export const countAnswer = component('CountResponse', z.strictObject({ count }))

export const countOperation: Operation = {
  id: 'countEntries',
  summary: 'Counts entries',
  query: countQuery,
  answers: { 200: { description: 'Their number', content: countAnswer } },
  problems: ['too-many-lists', 'slow-list', ...inputKinds, ...readKinds],
}

export const invalidateAnswer = component('InvalidateResponse', z.strictObject({ removed: count }))

export const invalidateOperation: Operation = {
  id: 'invalidateEntries',
  summary: 'Removes entries by key, group or prefix',
  body: component('InvalidateRequest', invalidateBody),
  answers: { 200: { description: 'Number of removed entries', content: invalidateAnswer } },
  problems: [...bodyKinds, ...removalKinds],
}
