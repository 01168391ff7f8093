import t, { type Test } from 'tap'
import { batchRequest } from '../../../src/http/routes/batch/batch-request.js'
import { maxProveBytes, proveRequest } from '../../../src/http/routes/changes/changes-request.js'
import { entriesRequest } from '../../../src/http/routes/entries-request.js'
import { invalidateRequest } from '../../../src/http/routes/invalidate-request.js'
import { setRequest } from '../../../src/http/routes/set-request.js'

type Parse = (bytes: Buffer) => unknown

const bytesOf = (body: unknown) => Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
const accepted = (parse: Parse, body: unknown) => parse(bytesOf(body))

/** Checks that each body is refused with 422, or `status`, and the message. */
function refused(
  t: Test,
  parse: Parse,
  cases: readonly (readonly [unknown, string, string?])[],
  status = 422,
) {
  for (const [body, message, kind] of cases)
    t.throws(() => parse(bytesOf(body)), { status, message, ...(kind && { kind }) }, message)
}

const batch = (bytes: Buffer) => batchRequest(bytes, 10)
const many = (count: number) => Array.from({ length: count }, (_, index) => `k${index}`)

t.test('a body is one JSON object in UTF-8, with members that are known', async (t) => {
  const notJson = 'body: not valid JSON in UTF-8'
  for (const body of ['', '{', '\ufffd', '{"key":"k"} x'])
    refused(t, setRequest, [[body, notJson, 'invalid-json']])
  t.throws(() => setRequest(Buffer.from([0x22, 0xff, 0x22])), { message: notJson, kind: 'invalid-json' })
  for (const body of ['[]', 'null', '1', '"text"'])
    refused(t, setRequest, [[body, 'body: must be a JSON object', 'invalid-input']])
  refused(t, setRequest, [
    [{ kee: 'k' }, 'kee: unknown member; did you mean key?', 'unknown-name'],
    [{ colour: 1 }, 'colour: unknown member; a set has key, value, ttl_seconds and groups', 'unknown-name'],
    ['{"key":"a","value":1,"key":"b"}', 'key: given more than once', 'repeated-name'],
  ])
})

t.test('a set has a key and a value, and may have a time to live and groups', async (t) => {
  t.match(
    accepted(setRequest, '{"key":"k","value": {"n": 1.0} ,"ttl_seconds":0.001,"groups":["g","h","g"]}'),
    {
      key: 'k',
      options: { ttlMs: 1, groups: ['g', 'h'] },
    },
  )
  const ttl =
    'ttl_seconds: must be a number of seconds from 0.001 to 1000000000; without it, the entry does not expire'
  const set = { key: 'k', value: 1 }
  refused(t, setRequest, [
    [{ value: 1 }, 'key: missing'],
    [{ ...set, key: 1 }, 'key: must be a string'],
    [{ key: 'k' }, 'value: missing'],
    [{ ...set, value: null }, 'value: must not be null'],
    ...[0, 0.000_9, 1_000_000_001, '1', null].map((ttl_seconds) => [{ ...set, ttl_seconds }, ttl] as const),
    [{ ...set, groups: 'g' }, 'groups: must be an array of strings'],
    [{ ...set, groups: many(33) }, 'groups: more than 32'],
    [{ ...set, groups: ['g', ''] }, 'groups[1]: must not be empty'],
    [{ ...set, groups: [1] }, 'groups[0]: must be a string'],
    [{ ...set, groups: ['a\0'] }, 'groups[0]: must not contain U+0000'],
    [{ ...set, groups: ['\ud800'] }, 'groups[0]: contains a lone surrogate'],
    [{ ...set, groups: [`${'é'.repeat(128)}x`] }, 'groups[0]: longer than 256 bytes of UTF-8'],
  ])
  t.ok(accepted(setRequest, { ...set, ttl_seconds: 1e9, groups: many(32) }))
  t.ok(accepted(setRequest, { ...set, groups: ['é'.repeat(128)] }))
})

t.test('a batch has writes and deletes of distinct keys', async (t) => {
  const tag = '1-2-0A1B2C3D'
  const items = [
    { op: 'put', key: 'a', value: 1, ttl_seconds: 2, groups: ['g'], if_none_match: '*' },
    { op: 'delete', key: 'b', if_match: `"${tag}"` },
    { op: 'delete', key: 'c', if_match: [tag, `"${tag}"`] },
  ]
  t.match(accepted(batch, { items, atomic: true }), {
    isAtomic: true,
    writes: [
      { key: 'a', value: '1', ttlMs: 2_000, groups: ['g'], condition: { match: undefined, noneMatch: '*' } },
      { key: 'b', value: undefined, condition: { match: [tag], noneMatch: undefined } },
      { key: 'c', value: undefined, condition: { match: [tag, tag] } },
    ],
  })
  t.match(accepted(batch, { items: [] }), { isAtomic: false, writes: { length: 0 } })
})

t.test('a batch is refused with the index of the item that is wrong', async (t) => {
  const put = { op: 'put', key: 'a', value: 1 }
  const tags = 'items[1].if_match: must be *, an entity tag such as 1-2-0A1B2C3D, or an array of them'
  const withSecond = (item: unknown) => ({ items: [put, item] })
  refused(t, batch, [
    [{}, 'items: missing'],
    [{ items: 1 }, 'items: must be an array of objects'],
    [{ items: many(1_001) }, 'items: more than 1000'],
    [{ items: [], atomic: 1 }, 'atomic: must be true or false'],
    [{ item: [] }, 'item: unknown member; did you mean items?', 'unknown-name'],
    [withSecond(null), 'items[1]: must be an object'],
    [withSecond([]), 'items[1]: must be an object'],
    [withSecond(1), 'items[1]: must be an object'],
    [withSecond({ ...put, op: 'set' }), 'items[1].op: must be put or delete'],
    [withSecond({ ...put, valu: 1 }), 'items[1].valu: unknown member; did you mean value?'],
    [
      withSecond({ op: 'delete', key: 'b', value: 1 }),
      'items[1].value: unknown member; a delete has op, key, if_match and if_none_match',
    ],
    [withSecond({ op: 'put', key: 'b' }), 'items[1].value: missing'],
    [withSecond({ op: 'delete', key: '' }), 'items[1].key: must not be empty'],
    [withSecond(put), 'items[1].key: the same as that of items[0]'],
    ...['x', [], ['*'], 1, null].map(
      (if_match) => [withSecond({ op: 'delete', key: 'b', if_match }), tags] as const,
    ),
    [
      '{"items":[{"op":"delete","key":"a","key":"b"}]}',
      'items[0].key: given more than once',
      'repeated-name',
    ],
  ])
  const large = { items: [put, { ...put, key: 'b', value: 'x'.repeat(9) }] }
  refused(t, batch, [[large, 'items[1].value: larger than 10 bytes', 'body-too-large']], 413)
  const first = { items: [{ ...put, value: 'é'.repeat(5) }] }
  refused(t, batch, [[first, 'items[0].value: larger than 10 bytes', 'body-too-large']], 413)
  t.ok(accepted(batch, { items: [{ ...put, value: 'x'.repeat(8) }] }), 'the quotes count')
  t.ok(accepted(batch, { items: [{ ...put, value: 'é'.repeat(4) }] }))
  t.ok(accepted(batch, { items: many(1_000).map((key) => ({ op: 'delete', key })) }))
})

t.test('an invalidation selects entries, and all of them only if it says so', async (t) => {
  const none = { keys: [], groups: [], prefix: undefined, all: false }
  for (const [body, selection] of [
    [{ keys: ['a', 'b', 'a'] }, { ...none, keys: ['a', 'b'] }],
    [
      { groups: ['g', 'g'], prefix: 'p' },
      { ...none, groups: ['g'], prefix: 'p' },
    ],
    [
      { all: true, keys: [], groups: [] },
      { ...none, all: true },
    ],
    [
      { all: false, keys: ['a'] },
      { ...none, keys: ['a'] },
    ],
  ] as const)
    t.strictSame(accepted(invalidateRequest, body), selection)
  const nothing = 'body: selects nothing; name keys, groups or a prefix'
  const both = 'all: removes all entries, so no other member may select some'
  refused(t, invalidateRequest, [
    ...[{}, { all: false }, { keys: [], groups: [] }].map((body) => [body, nothing] as const),
    ...[{ keys: ['a'] }, { groups: ['g'] }, { prefix: 'p' }].map(
      (one) => [{ ...one, all: true }, both] as const,
    ),
    [{ prefix: '' }, 'prefix: must not be empty; to remove all entries, send "all": true'],
    [{ keys: many(1_001) }, 'keys: more than 1000'],
    [{ groups: many(1_001) }, 'groups: more than 1000'],
    [{ all: 'yes' }, 'all: must be true or false'],
    [{ key: ['a'] }, 'key: unknown member; did you mean keys?', 'unknown-name'],
  ])
})

t.test('a request for entries has up to 1,000 keys', async (t) => {
  t.match(accepted(entriesRequest, { keys: many(1_000), consistency: 'strong' }), {
    keys: many(1_000),
    consistency: 'strong',
  })
  refused(t, entriesRequest, [
    [{}, 'keys: missing'],
    [{ keys: many(1_001) }, 'keys: more than 1000'],
    [{ keys: ['a', ''] }, 'keys[1]: must not be empty'],
    [{ keys: ['a'], consistency: 'weak' }, 'consistency: must be strong or bounded'],
  ])
})

t.test('a question names its stream', async (t) => {
  const question = { stream: 'a.B_-1', question: 'x'.repeat(64) }
  t.strictSame(accepted(proveRequest, question), question)
  t.ok(maxProveBytes > 2 * JSON.stringify(question).length)
  const fault = (name: string) =>
    `${name}: must be a string of 1 to 64 letters, digits, dots, hyphens and underscores`
  refused(t, proveRequest, [
    ...['', 'x'.repeat(65), 'a b', 'a:1', 1].map(
      (stream) => [{ ...question, stream }, fault('stream')] as const,
    ),
    [{ stream: 'a' }, fault('question')],
  ])
})
