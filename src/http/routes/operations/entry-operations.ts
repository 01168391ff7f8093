import { z } from 'zod'
import { inputKinds, readKinds, writeKinds } from '../openapi/common-problems.js'
import type { Answer, Operation } from '../openapi/operation.js'
import { conditionsQuery } from '../read-request.js'
import { key } from '../schemas/fields.js'
import { pendingBody } from './bodies.js'

const path = z.strictObject({ key })

const keptAnswer: Answer = {
  description: 'The database is unavailable: the sidecar keeps the write until it is back',
  content: pendingBody,
}

export const getEntryOperation: Operation = {
  id: 'getEntry',
  summary: 'Reads one entry, with its value as the body',
  head: { id: 'headEntry', summary: 'Reads one entry without its value' },
  path,
  query: conditionsQuery,
  headers: [
    'Cache-Control',
    'Change-Feed',
    'Cache-Groups',
    'Cache-Token',
    'If-Match',
    'If-None-Match',
    'Prefer',
  ],
  answers: {
    200: {
      description: 'The value, with the `Content-Type` with which it was written',
      content: 'any bytes',
      headers: ['Cache-Status', 'Age'],
      optionalHeaders: ['ETag', 'Cache-Control', 'Change-Feed', 'Content-Security-Policy'],
    },
    304: {
      description: 'The entry has one of the tags of `If-None-Match`',
      headers: ['Cache-Status', 'Age'],
      optionalHeaders: ['ETag', 'Cache-Control', 'Change-Feed'],
    },
  },
  problems: ['no-entry', 'condition-failed', 'not-in-memory', 'too-large', ...inputKinds, ...readKinds],
  problemHeaders: { 404: ['Cache-Status'], 412: ['Cache-Status'] },
  optionalProblemHeaders: {
    412: ['Change-Feed'],
    404: ['Age', 'Cache-Control', 'Change-Feed', 'Fill-Lease', 'Preference-Applied', 'Retry-After'],
  },
}

export const putEntryOperation: Operation = {
  id: 'putEntry',
  summary: 'Writes one entry, with the body as its value',
  path,
  headers: ['Cache-Control', 'Cache-Groups', 'Fill-Lease', 'If-Match', 'If-None-Match'],
  body: 'any bytes',
  answers: {
    201: {
      description: 'The entry is in PostgreSQL, and is new',
      headers: ['Cache-Token'],
      optionalHeaders: ['ETag'],
    },
    202: keptAnswer,
    204: {
      description: 'The entry is in PostgreSQL, and replaces another',
      headers: ['Cache-Token'],
      optionalHeaders: ['ETag'],
    },
  },
  problems: [
    'partial-write',
    'condition-failed',
    'lease-ended',
    'condition-required',
    'unsupported-body',
    'invalid-json',
    'invalid-input',
    ...writeKinds,
  ],
}

export const deleteEntryOperation: Operation = {
  id: 'deleteEntry',
  summary: 'Deletes one entry, or gives a lease back',
  path,
  headers: ['Fill-Lease', 'If-Match', 'If-None-Match'],
  answers: {
    202: keptAnswer,
    204: {
      description: 'The entry is deleted. With `Fill-Lease`, nothing is deleted, and the lease has ended.',
      optionalHeaders: ['Cache-Token'],
    },
  },
  problems: ['no-entry', 'condition-failed', 'condition-required', 'invalid-input', ...writeKinds],
  problemHeaders: { 404: ['Cache-Token'] },
}
