import { z } from 'zod'
import { bodyKinds, inputKinds, readKinds, writeKinds } from '../openapi/common-problems.js'
import { component } from '../openapi/components.js'
import type { Operation } from '../openapi/operation.js'
import { readQuery } from '../read-request.js'
import { key } from '../schemas/fields.js'
import { setBody } from '../set-request.js'
import { expiresInSeconds, readBody, tokenMember } from './bodies.js'

export const getOperation: Operation = {
  id: 'getValue',
  summary: 'Reads one entry',
  query: readQuery,
  headers: ['Cache-Control', 'Cache-Token'],
  answers: {
    200: { description: 'The entry', content: readBody, headers: ['Cache-Status', 'Age'] },
  },
  problems: ['no-entry', 'not-in-memory', 'too-large', ...inputKinds, ...readKinds],
  problemHeaders: { 404: ['Cache-Status'] },
  optionalProblemHeaders: { 404: ['Age'] },
}

export const setAnswer = component(
  'SetResponse',
  z.union([
    z.strictObject({
      ok: z.literal(true),
      db_written: z.literal(true),
      token: tokenMember,
      expires_in_seconds: expiresInSeconds.optional(),
    }),
    z.strictObject({
      ok: z.literal(true),
      db_written: z.literal(false),
      expires_in_seconds: expiresInSeconds.optional(),
    }),
  ]),
)

export const setOperation: Operation = {
  id: 'setValue',
  summary: 'Writes one entry',
  body: component('SetRequest', setBody),
  answers: {
    200: {
      description:
        'The entry is in PostgreSQL; or, with `"db_written":false`, the sidecar keeps the write until the database is back',
      content: setAnswer,
      optionalHeaders: ['Cache-Token'],
    },
  },
  problems: [...bodyKinds, ...writeKinds],
}

export const deleteQuery = z.strictObject({ key })

export const deleteAnswer = component(
  'DeleteResponse',
  z.union([
    z.strictObject({ cache_removed: z.boolean(), db_removed: z.boolean(), token: tokenMember }),
    z.strictObject({ cache_removed: z.boolean(), db_removed: z.boolean(), pending: z.literal(true) }),
  ]),
)

export const deleteOperation: Operation = {
  id: 'deleteValue',
  summary: 'Deletes one entry',
  query: deleteQuery,
  answers: {
    200: {
      description:
        'There is no such entry any more; or, with `"pending":true`, the sidecar keeps the delete until the database is back',
      content: deleteAnswer,
      optionalHeaders: ['Cache-Token'],
    },
  },
  problems: [...inputKinds, ...writeKinds],
}
