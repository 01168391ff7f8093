import t, { type Test } from 'tap'
import type { ListedEntry, PageRequest } from '../../../src/core/reads/listing.js'
import { changesPrefix } from '../../../src/http/routes/changes/changes-request.js'
import { countRequest, listRequest } from '../../../src/http/routes/list-request.js'
import { listResponse } from '../../../src/http/routes/list-response.js'
import { parseQuery } from '../../../src/http/routes/query.js'

function refused(t: Test, parse: (query: string) => unknown, cases: Readonly<Record<string, string>>) {
  for (const [query, message] of Object.entries(cases))
    t.throws(() => parse(query), { status: 422, message }, query)
}

t.test('parameters are decoded, and others are ignored unless they are nearly the same', async (t) => {
  const parse = (query: string) => parseQuery(query, ['key', 'token'], { key: 'use another endpoint' })
  t.strictSame(parse(''), {})
  t.strictSame(parse('key=a+b%2B&utm=1&&=x&token'), { key: 'a b+', token: '' })
  t.strictSame(parse('%6bey=a=b&open=1'), { key: 'a=b' }, 'names are decoded, too')
  refused(t, parse, {
    'kex=1': 'kex: unknown parameter; did you mean key?',
    'KEY=1': 'KEY: unknown parameter; did you mean key?',
    'key=1&key=1': 'key: given more than once; use another endpoint',
    'token=&token=': 'token: given more than once',
    'key=%ff': 'key: not valid percent-encoded UTF-8',
    'key=%': 'key: not valid percent-encoded UTF-8',
  })
  t.throws(() => parse('kex=1'), { message: 'kex: unknown parameter', kind: 'unknown-name' })
  t.throws(() => parse('key=1&key=1'), { message: 'key: given more than once', kind: 'repeated-name' })
})

t.test('a list has a prefix, a limit, and a key after which it begins', async (t) => {
  t.strictSame(listRequest(''), { prefix: '', limit: 100, after: '', withValues: false })
  t.strictSame(listRequest('prefix=p&limit=1000&after=a%20b&values=true'), {
    prefix: 'p',
    limit: 1_000,
    after: 'a b',
    withValues: true,
  })
  t.match(listRequest('limit=1&values=false&prefix='), { limit: 1, withValues: false, prefix: '' })
  const limit = 'limit: must be an integer between 1 and 1000'
  refused(t, listRequest, {
    ...Object.fromEntries(
      ['0', '1001', '10000', '1.5', '-1', 'x', ''].map((text) => [`limit=${text}`, limit]),
    ),
    'values=1': 'values: must be true or false',
    'after=%00': 'after: must not contain U+0000',
    'prefix=%00': 'prefix: must not contain U+0000',
    [`prefix=${'x'.repeat(1_025)}`]: 'prefix: longer than 1024 bytes of UTF-8',
    'limits=1': 'limits: unknown parameter; did you mean limit?',
  })
})

t.test('counts and streams of changes have a prefix', async (t) => {
  for (const parse of [countRequest, changesPrefix]) {
    t.equal(parse(''), '')
    t.equal(parse('prefix=user%3A'), 'user:')
    refused(t, parse, {
      'prefix=%00': 'prefix: must not contain U+0000',
      'prefx=a': 'prefx: unknown parameter; did you mean prefix?',
    })
  }
})

t.test('a page has its entries, and where the next one begins', async (t) => {
  const entry = {
    key: 'a"',
    version: '7',
    bytes: 3,
    remainingMs: undefined,
    groups: [],
  } as unknown as ListedEntry
  const request: PageRequest = { prefix: 'a&', limit: 2, after: '', withValues: false }
  const shown = (more: Partial<ListedEntry>, next?: string, asked: Partial<PageRequest> = {}) => {
    const rows = [{ ...entry, ...more }]
    const { body, headers, status, source } = listResponse({ ...request, ...asked }, { rows, next })
    t.strictSame(
      [status, source, headers.slice(-2)],
      [200, 'db', ['Content-Type', 'application/json; charset=utf-8']],
    )
    return { ...JSON.parse(String(body)), link: headers[headers.indexOf('Link') + 1] }
  }
  const plain = { key: 'a"', version: '7', size: 3, expires_in_seconds: null }
  const last = listResponse(request, { rows: [entry], next: undefined })
  t.strictSame(JSON.parse(String(last.body)), { entries: [plain] })
  t.notOk(last.headers.includes('Link'))
  t.match(shown({ remainingMs: 1_999.9, groups: ['g'] }), {
    entries: [{ ...plain, expires_in_seconds: 1.999, groups: ['g'] }],
  })
  t.match(shown({ value: '{"n":1}' }), { entries: [{ ...plain, value: { n: 1 } }] })
  t.match(shown({}, 'é "'), {
    next: 'é "',
    link: '</v1/entries?prefix=a%26&limit=2&after=%C3%A9%20%22>; rel="next"',
  })
  t.match(shown({}, 'b', { withValues: true }), { link: /&after=b&values=true>/ })
})
