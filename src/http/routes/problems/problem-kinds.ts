import type { CacheErrorCode } from '../../../core/errors.js'

/** Kinds of problems that requests have besides the errors of the database, and the status of each. */
const ofRequests = {
  'invalid-request': 400,
  'partial-write': 400,
  'no-token': 401,
  'web-page': 403,
  'not-local': 403,
  'no-entry': 404,
  'no-route': 404,
  'no-stream': 404,
  'wrong-method': 405,
  'slow-request': 408,
  'condition-failed': 412,
  'lease-ended': 412,
  'body-too-large': 413,
  'response-too-large': 413,
  'url-too-long': 414,
  'unsupported-body': 415,
  'unknown-expectation': 417,
  'unknown-host': 421,
  'invalid-input': 422,
  'invalid-json': 422,
  'unknown-name': 422,
  'repeated-name': 422,
  'condition-required': 428,
  'headers-too-large': 431,
  'internal-error': 500,
  'unknown-method': 501,
  'no-memory': 503,
  'not-serving': 503,
  'too-many-lists': 503,
  'slow-list': 503,
  'not-in-memory': 504,
} as const

/** Status of the response to each error of the cache. */
const ofDatabase = {
  'store-unavailable': 503,
  'login-refused': 503,
  'store-suspended': 503,
  'store-not-ready': 503,
  'store-busy': 503,
  'store-failed': 503,
  'row-locked': 503,
  'store-locked': 503,
  'queue-full': 503,
  'outcome-unknown': 503,
  forbidden: 403,
  refused: 422,
  'too-large': 413,
  'too-large-together': 413,
  'bound-key': 409,
  'binding-unusable': 503,
  'not-stored': 422,
} as const satisfies Readonly<Record<CacheErrorCode, number>>

/** Every kind of problem with its status. Each has a paragraph in docs/reference/errors.md, under its name. */
export const statusOfKind = { ...ofRequests, ...ofDatabase }

export type ProblemKind = keyof typeof statusOfKind

/** Kinds of problems whose responses have this status. */
export type KindOf<Status extends number> = {
  [Kind in ProblemKind]: (typeof statusOfKind)[Kind] extends Status ? Kind : never
}[ProblemKind]

export const problemKinds = Object.keys(statusOfKind) as readonly ProblemKind[]

/** Page that explains every kind. A URL of a branch, because a type must not change with a release (RFC 9457). */
const page = 'https://github.com/caching-layer/caching-layer/blob/main/docs/reference/errors.md'

/** Returns the `type` of problems of a kind: the URL of its paragraph. */
export function problemType(kind: ProblemKind): string {
  return `${page}#${kind}`
}

/** Kind of a problem of which only the status is given. */
const usualKinds: Readonly<Record<number, ProblemKind>> = {
  400: 'invalid-request',
  404: 'no-entry',
  412: 'condition-failed',
  413: 'body-too-large',
  415: 'unsupported-body',
  422: 'invalid-input',
  428: 'condition-required',
  503: 'no-memory',
  504: 'not-in-memory',
}

/** Returns the most frequent kind of problems with a status. */
export function usualKind(status: number): ProblemKind {
  return usualKinds[status] ?? 'internal-error'
}
