import { changesQuery, proveBody } from '../changes/changes-request.js'
import { bodyKinds, inputKinds } from '../openapi/common-problems.js'
import { component } from '../openapi/components.js'
import type { Operation } from '../openapi/operation.js'

export const changesOperation: Operation = {
  id: 'followChanges',
  summary: 'Follows the changes of all entries, as server-sent events',
  description:
    'The events are `open` (the stream has begun), `change` (a key has changed), `gap` (changes may have been missed, so anything may have changed) and `proof` (an answer to `proveChanges`).',
  query: changesQuery,
  headers: ['Last-Event-ID'],
  answers: {
    200: {
      description: 'A stream that does not end',
      content: 'events',
      headers: ['Cache-Control', 'X-Accel-Buffering'],
    },
  },
  problems: ['no-memory', ...inputKinds],
}

export const proveOperation: Operation = {
  id: 'proveChanges',
  summary: 'Asks a stream up to which moment it is complete',
  description: 'The answer is a `proof` on the stream, now and again at intervals.',
  body: component('ProveRequest', proveBody),
  answers: { 204: { description: 'The stream will answer' } },
  problems: ['no-stream', ...bodyKinds],
}
