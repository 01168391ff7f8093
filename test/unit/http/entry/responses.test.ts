import t from 'tap'
import type { ReadResult } from '../../../../src/core/reads/read-result.js'
import { entryTag } from '../../../../src/core/state/entry-tag.js'
import type { ChangeResult } from '../../../../src/core/writes/write-result.js'
import { deleteResponse, putResponse } from '../../../../src/http/routes/entry/change-response.js'
import { entryResponse } from '../../../../src/http/routes/entry/entry-response.js'
import { missResponse } from '../../../../src/http/routes/entry/fill-lease.js'
import { readResponse } from '../../../../src/http/routes/read-response.js'
import type { PlainResponse } from '../../../../src/http/routes/response.js'

const written = { version: '7', epoch: '1-00000001' }
const tag = entryTag(written)
const hit: ReadResult = { value: '1', written, ageMs: 2_999, ttlMs: 5_000 }
const absent: ReadResult = { value: undefined, ageMs: 2_999 }

function shown({ status, headers, body, source }: PlainResponse) {
  const pairs = Array.from({ length: headers.length / 2 }, (_, index) =>
    headers.slice(2 * index, 2 * index + 2),
  )
  const { 'Content-Type': type, ...others } = Object.fromEntries(pairs) as Record<string, string>
  const isProblem = type?.startsWith('application/problem+json')
  const { type: kind, detail } = isProblem ? JSON.parse(String(body)) : { type: undefined, detail: undefined }
  const said = isProblem ? { kind: kind.replace(/^.*#/, ''), detail } : { type, body: String(body) }
  return { status, source, headers: others, ...said }
}

t.test('an entry has its age, its freshness and its tag', async (t) => {
  t.strictSame(shown(entryResponse({ ...hit, expiresInMs: 4_000 })), {
    status: 200,
    source: 'cache',
    headers: {
      'Cache-Status': 'caching-layer; hit; ttl=5',
      Age: '2',
      'Cache-Control': 'max-age=6',
      ETag: `"${tag}"`,
    },
    type: 'application/json',
    body: '1',
  })
  t.match(shown(entryResponse({ ...hit, forwarded: 'miss' })), { source: 'db' })
  const kept = shown(entryResponse({ ...hit, written: undefined, stale: 'kept' }))
  t.match(kept, { source: 'kept', headers: { ETag: undefined } })
})

t.test('an entry that the client has is not sent again', async (t) => {
  const conditionally = (noneMatch: '*' | readonly string[], read = hit) =>
    shown(entryResponse(read, { match: undefined, noneMatch } as never))
  for (const condition of ['*', [tag]] as const)
    t.match(conditionally(condition), {
      status: 304,
      source: 'cache',
      body: '',
      headers: { ETag: `"${tag}"`, Age: '2' },
    })
  t.equal(conditionally(['1-8-00000000']).status, 200)
  t.equal(conditionally('*', absent).status, 404)
})

t.test('an entry that is not as If-Match requires is a failed condition, whatever there is', async (t) => {
  const conditionally = (match: '*' | readonly string[], read: ReadResult) =>
    shown(entryResponse(read, { match, noneMatch: undefined } as never))
  const unmet = { status: 412, kind: 'condition-failed', headers: { Age: undefined } }
  t.match(conditionally(['1-8-00000000'], hit), { ...unmet, source: 'cache' })
  t.match(conditionally('*', { ...absent, forwarded: 'miss' }), { ...unmet, source: 'db' })
  t.equal(conditionally('*', hit).status, 200)
})

t.test('an absence has an age only if it comes from memory, and a freshness if it ends', async (t) => {
  const common = { status: 404, kind: 'no-entry', detail: 'Key not found' }
  const status = (text: string) => ({ 'Cache-Status': `caching-layer; ${text}` })
  t.strictSame(shown(entryResponse(absent)), {
    ...common,
    source: 'cache',
    headers: { ...status('hit'), Age: '2' },
  })
  t.strictSame(shown(entryResponse({ ...absent, forwarded: 'miss', expiresInMs: 1_000 })), {
    ...common,
    source: 'db',
    headers: { ...status('fwd=miss'), 'Cache-Control': 'max-age=3' },
  })
  t.strictSame(shown(entryResponse({ ...absent, stale: 'kept', expiresInMs: 1_000 })), {
    ...common,
    source: 'kept',
    headers: status('hit; detail=kept'),
  })
})

t.test('an entry of any type is not run as a page of the sidecar', async (t) => {
  const html = { ...hit, value: '"<p>"', mediaType: 'text/html' } as ReadResult
  t.match(shown(entryResponse(html)), {
    type: 'text/html',
    body: '<p>',
    headers: { 'Content-Security-Policy': "default-src 'none'; sandbox" },
  })
  t.equal(shown(entryResponse(hit)).headers['Content-Security-Policy'], undefined)
})

t.test('a value in JSON has its source, and what limits it', async (t) => {
  const read = (more: Partial<ReadResult>) => shown(readResponse('a"', { ...hit, ...more }))
  const start = '{"key":"a\\"","value":1,"source":'
  t.match(read({}), { status: 200, source: 'cache', headers: { Age: '2' }, body: `${start}"cache"}` })
  t.match(read({ forwarded: 'miss' }), { source: 'db', body: `${start}"db"}` })
  t.match(read({ stale: 'unproven' }), { source: 'unproven', body: `${start}"cache","stale":true}` })
  t.match(read({ expiresInMs: 1_999 }), { body: `${start}"cache","expires_in_seconds":1.999}` })
  t.match(read({ expiresInMs: -1 }), { body: `${start}"cache","expires_in_seconds":0}` })
  t.strictSame(read({ value: undefined }).headers, { 'Cache-Status': 'caching-layer; hit; ttl=5', Age: '2' })
  t.match(read({ value: undefined, forwarded: 'miss' }), {
    status: 404,
    source: 'db',
    headers: { Age: undefined },
  })
})

t.test('a write of an entry has its token, and a tag only for exactly these bytes', async (t) => {
  const result = (existed: boolean) => ({ kind: 'written', existed, token: 't', written }) as ChangeResult
  const headers = { 'Cache-Token': 't', ETag: `"${tag}"` }
  t.match(shown(putResponse(result(false), true)), { status: 201, source: 'db', headers, body: '' })
  t.match(shown(putResponse(result(true), true)), { status: 204, headers })
  t.strictSame(shown(putResponse(result(true), false)).headers, { 'Cache-Token': 't' })
  t.match(shown(deleteResponse(result(true))), { status: 204, source: 'db', headers: { 'Cache-Token': 't' } })
  t.match(shown(deleteResponse(result(false))), {
    status: 404,
    source: 'db',
    kind: 'no-entry',
    headers: { 'Cache-Token': 't' },
  })
})

t.test('a write that is kept, or not made, says so', async (t) => {
  const kept = { status: 202, source: 'kept', body: '{"pending":true}' }
  for (const response of [
    putResponse({ kind: 'kept' } as ChangeResult, true),
    deleteResponse({ kind: 'kept' } as ChangeResult),
  ])
    t.match(shown(response), kept)
  const unmet = (refusal?: string) => ({ kind: 'unmet', refusal }) as ChangeResult
  t.match(shown(deleteResponse(unmet())), { status: 412, source: 'db', kind: 'condition-failed' })
  for (const [refusal, status, kind, detail] of [
    [undefined, 412, 'condition-failed', 'The entry is not as If-Match or If-None-Match requires'],
    ['no-lease', 412, 'lease-ended', 'Fill-Lease: has ended, or was revoked by an invalidation'],
    ['present', 412, 'lease-ended', 'Fill-Lease: there is an entry already'],
    [
      'other-groups',
      422,
      'invalid-input',
      'Cache-Groups: must be among the groups of the request that returned the Fill-Lease',
    ],
  ] as const)
    t.match(shown(putResponse(unmet(refusal), true)), { status, source: 'db', kind, detail })
})

t.test('a read that wants to fill an entry gets a lease, or the time after which to ask again', async (t) => {
  const read: ReadResult = { ...absent, forwarded: 'miss' }
  const lease = 'abcdefghijklmnopqrstuv'
  t.strictSame(shown(missResponse({ kind: 'granted', read, lease }, 10_000)), {
    status: 404,
    source: 'db',
    kind: 'no-entry',
    detail: 'Key not found',
    headers: {
      'Cache-Status': 'caching-layer; fwd=miss',
      'Fill-Lease': lease,
      'Preference-Applied': 'fill-lease=10',
    },
  })
  const vain = (retryAfterMs: number, isBlocked: boolean) =>
    shown(missResponse({ kind: 'vain', read, retryAfterMs, isBlocked }, 10_000))
  t.match(vain(1_001, false), {
    headers: { 'Retry-After': '2', 'Fill-Lease': undefined },
    detail: 'Key not found: another client is computing the value',
  })
  t.match(vain(0, true), { headers: { 'Retry-After': '1' }, detail: /^Key not found: no lease is given/ })
})
