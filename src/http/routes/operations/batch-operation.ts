import { z } from 'zod'
import { batchBody } from '../batch/batch-request.js'
import { bodyKinds, writeKinds } from '../openapi/common-problems.js'
import { component } from '../openapi/components.js'
import type { Operation } from '../openapi/operation.js'
import { key } from '../schemas/fields.js'
import { etagMember, tokenMember } from './bodies.js'

const result = component(
  'BatchResult',
  z.strictObject({
    key,
    status: z.int().meta({ description: 'Status that a request of its own would get.' }),
    token: tokenMember.optional(),
    etag: etagMember.optional(),
    pending: z
      .literal(true)
      .optional()
      .meta({ description: 'Given if the database is unavailable and the sidecar keeps the write.' }),
    detail: z.string().optional().meta({ description: 'Reason of a failure.' }),
  }),
)

export const batchAnswer = component(
  'BatchResponse',
  z.strictObject({ results: z.array(result).meta({ description: 'One for each item, in their order.' }) }),
)

export const batchOperation: Operation = {
  id: 'writeEntries',
  summary: 'Writes and deletes several entries',
  body: component('BatchRequest', batchBody),
  answers: { 200: { description: 'The results', content: batchAnswer } },
  problems: ['condition-failed', 'condition-required', ...bodyKinds, ...writeKinds],
}
