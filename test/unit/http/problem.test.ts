import t from 'tap'
import { CacheError, type CacheErrorCode } from '../../../src/core/errors.js'
import { problemIn, problemResponse, RequestError } from '../../../src/http/routes/problem.js'

interface Line {
  readonly level: 'debug' | 'error'
  readonly fields: object
  readonly message: string
}

/** Returns the problem of an error, and what is logged. */
function problemOf(error: unknown) {
  const logged: Line[] = []
  const log = {
    debug: (fields: object, message: string) => logged.push({ level: 'debug', fields, message }),
    error: (fields: object, message: string) => logged.push({ level: 'error', fields, message }),
  }
  return { problem: problemIn(error, '/cache/get', log), logged }
}

t.test('a problem without a kind has the most frequent one of its status', async (t) => {
  const kindOf = (status: number) =>
    (JSON.parse(String(problemResponse({ status, detail: 'd' }).body)) as { type: string }).type
  for (const [status, kind] of [
    [400, 'invalid-request'],
    [404, 'no-entry'],
    [412, 'condition-failed'],
    [413, 'body-too-large'],
    [415, 'unsupported-body'],
    [422, 'invalid-input'],
    [428, 'condition-required'],
    [503, 'no-memory'],
    [504, 'not-in-memory'],
    [500, 'internal-error'],
  ] as const)
    t.match(kindOf(status), new RegExp(`^https://github.com/.*/docs/reference/errors.md#${kind}$`))
})

t.test('the response has the members of RFC 9457, and the headers given', async (t) => {
  const response = problemResponse(
    {
      status: 503,
      detail: 'The database cannot be reached',
      kind: 'store-unavailable',
      retryAfterSeconds: 5,
    },
    ['Cache-Status', 'caching-layer'],
  )
  t.equal(response.status, 503)
  t.strictSame(response.headers, [
    ...['Cache-Status', 'caching-layer', 'Retry-After', '5'],
    ...['Content-Type', 'application/problem+json; charset=utf-8'],
  ])
  t.match(JSON.parse(String(response.body)), {
    type: /#store-unavailable$/,
    title: 'Service Unavailable',
    status: 503,
    detail: 'The database cannot be reached',
  })
  t.strictSame(problemResponse({ status: 400, detail: 'd' }).headers, [
    'Content-Type',
    'application/problem+json; charset=utf-8',
  ])
})

t.test('an error of the store tells the client its explanation, and the log its reason', async (t) => {
  const { problem, logged } = problemOf(
    new CacheError('row-locked', 'canceling statement: role "app"', { key: 'k' }),
  )
  t.match(problem, { status: 503, kind: 'row-locked', detail: 'k: The entry is locked in the database' })
  t.strictSame(logged, [
    {
      level: 'debug',
      fields: { reason: 'canceling statement: role "app"', path: '/cache/get' },
      message: 'The entry is locked in the database',
    },
  ])
  t.equal(problemOf(new CacheError('row-locked', 'm')).problem.detail, 'The entry is locked in the database')
})

t.test('a client may try again at once, later, or not at all', async (t) => {
  const secondsOf = (code: CacheErrorCode) => {
    const { status, retryAfterSeconds } = problemOf(new CacheError(code, 'm')).problem
    return [status, retryAfterSeconds]
  }
  for (const code of ['store-unavailable', 'store-suspended', 'row-locked'] as const)
    t.strictSame(secondsOf(code), [503, 1], code)
  for (const code of ['login-refused', 'store-failed', 'queue-full'] as const)
    t.strictSame(secondsOf(code), [503, 5], code)
  t.strictSame(secondsOf('refused'), [422, undefined])
  t.equal(problemOf(new RequestError(503, 'no room')).problem.retryAfterSeconds, 1)
})

t.test('a mistake of the client is told in its own words, and not logged', async (t) => {
  const { problem, logged } = problemOf(new RequestError(422, 'key: must not be empty'))
  t.strictSame(problem, { status: 422, detail: 'key: must not be empty', kind: 'invalid-input' })
  t.strictSame(logged, [])
  t.equal(problemOf(new RequestError(413, 'm', 'response-too-large')).problem.kind, 'response-too-large')
})

t.test('any other error is ours: only the log has it', async (t) => {
  const error = new Error('secret')
  const { problem, logged } = problemOf(error)
  t.strictSame(problem, { status: 500, detail: 'Internal Server Error', kind: 'internal-error' })
  t.strictSame(logged, [
    { level: 'error', fields: { err: error, path: '/cache/get' }, message: 'Internal Server Error' },
  ])
})
