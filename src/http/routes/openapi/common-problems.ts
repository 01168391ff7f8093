import type { ProblemKind } from '../problems/problem-kinds.js'

/** Kinds of problems that every request can have, before an endpoint sees it. */
export const commonKinds: readonly ProblemKind[] = [
  'invalid-request',
  'slow-request',
  'body-too-large',
  'url-too-long',
  'unknown-expectation',
  'unknown-host',
  'headers-too-large',
  'no-memory',
]

/** Kinds of problems that a query or a JSON body can have. */
export const inputKinds: readonly ProblemKind[] = ['invalid-input', 'unknown-name', 'repeated-name']
export const bodyKinds: readonly ProblemKind[] = [...inputKinds, 'invalid-json', 'unsupported-body']

/** Kinds of problems that the database can have with a read. */
export const readKinds: readonly ProblemKind[] = [
  'store-unavailable',
  'login-refused',
  'store-suspended',
  'store-not-ready',
  'store-busy',
  'store-failed',
  'row-locked',
  'store-locked',
  'forbidden',
  'refused',
  'binding-unusable',
]

/** Kinds of problems that the database can have with the removal of selected entries. */
export const removalKinds: readonly ProblemKind[] = [
  ...readKinds,
  'queue-full',
  'outcome-unknown',
  'not-stored',
]

/** Kinds of problems that the database can have with a write of one entry. */
export const writeKinds: readonly ProblemKind[] = [...removalKinds, 'bound-key']
