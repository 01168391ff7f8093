import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { JsonClient } from '../../support/json-client.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/**
 * The facts about a state store that the public conformance tests of Dapr check, each with the
 * requests that answer it here. Queries by a member of the value are the one operation that has no counterpart.
 */
const facts: readonly (readonly [
  operation: string,
  fact: string,
  answer: (t: Test, client: JsonClient) => Promise<unknown>,
])[] = [
  [
    'set, get',
    'numbers, booleans, objects and strings come back as they were stored, a string that contains JSON as a string',
    async (t, client) => {
      for (const value of [123, true, 'hello world', '{"a":"b"}', { message: 'test' }]) {
        await client.set('k', value)
        t.strictSame((await client.get('k')).body.value, value)
      }
    },
  ],
  [
    'set, get',
    'bytes come back as they were stored',
    async (t, client) => {
      t.equal((await putBytes(client, Buffer.from([1]))).status, 201)
      t.equal((await client.request('GET', '/v1/entries/bytes')).text, '\x01')
    },
  ],
  [
    'get',
    'a key that does not exist has no value, and that is no failure of the store',
    async (t, client) =>
      t.match(await client.get('none'), { status: 404, body: { detail: 'Key not found' } }),
  ],
  [
    'delete',
    'a deleted key has no value; deleting a key that does not exist changes nothing and succeeds',
    async (t, client) => {
      await client.set('k', 1)
      t.match(await client.delete('k'), { status: 200, body: { db_removed: true } })
      t.equal((await client.get('k')).status, 404)
      t.match(await client.delete('k'), { status: 200, body: { db_removed: false } })
    },
  ],
  [
    'bulk set, bulk get, bulk delete',
    'each value of a bulk request is there after it, and each key of a bulk delete is not',
    async (t, client) => {
      const values = { int: 123, bool: true, string: 'hello world', struct: { message: 'test' } }
      const items = Object.entries(values).map(([key, value]) => ({ op: 'put', key, value }))
      t.equal((await batch(client, { items })).status, 200)
      const keys = Object.keys(values)
      t.same(await valuesOf(client, keys), values)
      await batch(client, { items: keys.slice(2).map((key) => ({ op: 'delete', key })) })
      t.same(await valuesOf(client, keys), { int: 123, bool: true })
    },
  ],
  [
    'transaction',
    'puts and deletes of one transaction are all there after it; the next one may delete what this one has put',
    async (t, client) => {
      const put = (key: string) => ({ op: 'put', key, value: key })
      const remove = (key: string) => ({ op: 'delete', key })
      await batch(client, { atomic: true, items: [put('1a'), put('1b')] })
      await batch(client, { atomic: true, items: [put('2'), remove('1b')] })
      await batch(client, { atomic: true, items: [put('3'), remove('never there')] })
      t.same(await valuesOf(client, ['1a', '1b', '2', '3']), { '1a': '1a', '2': '2', '3': '3' })
    },
  ],
  [
    'etag',
    'a write with a wrong tag fails, with the right one it succeeds and gives another tag; so does a delete',
    async (t, client) => {
      await client.set('k', 'one')
      const tag = await tagOf(client, 'k')
      t.equal((await put(client, 'k', '"two"', { 'If-Match': otherThan(tag) })).status, 412)
      t.equal((await client.get('k')).body.value, 'one')
      t.equal((await put(client, 'k', '"two"', { 'If-Match': tag })).status, 204)
      const next = await tagOf(client, 'k')
      t.not(next, tag)
      const remove = (match: string) =>
        client.request('DELETE', '/v1/entries/k', { headers: { 'If-Match': match } })
      t.equal((await remove(tag)).status, 412)
      t.equal((await remove(next)).status, 204)
      t.equal((await client.get('k')).status, 404)
    },
  ],
  [
    'etag',
    'a text that no store would give as a tag matches nothing',
    async (t, client) => {
      await client.set('k', 'one')
      t.equal((await put(client, 'k', '"two"', { 'If-Match': '"not-an-etag"' })).status, 412)
      t.equal((await put(client, 'none', '"two"', { 'If-Match': '"not-an-etag"' })).status, 412)
    },
  ],
  [
    'first write',
    'of two writes that want to be the first without a tag, the second one fails',
    async (t, client) => {
      t.equal((await put(client, 'k', '1', { 'If-None-Match': '*' })).status, 201)
      t.equal((await put(client, 'k', '2', { 'If-None-Match': '*' })).status, 412)
      t.equal((await client.get('k')).body.value, 1)
    },
  ],
  [
    'first write',
    'of two writes with the same tag, the second one fails',
    async (t, client) => {
      await client.set('k', 0)
      const tag = await tagOf(client, 'k')
      const statuses = await Promise.all(
        [1, 2].map((value) => put(client, 'k', `${value}`, { 'If-Match': tag })),
      )
      t.same(statuses.map(({ status }) => status).sort(), [204, 412])
    },
  ],
  [
    'time to live',
    'an entry is there until its time is over, and then it is not; a later write without one ends it',
    async (t, client) => {
      const set = (key: string, more = {}) =>
        client.request('POST', '/cache/set', { body: { key, value: 1, ...more } })
      await set('k', { ttl_seconds: 1 })
      await set('kept', { ttl_seconds: 1 })
      t.equal((await client.get('k')).status, 200)
      await set('kept')
      await eventually(async () => (await client.get('k')).status === 404)
      t.equal((await client.get('kept')).status, 200)
      t.equal(
        (await set('k', { ttl_seconds: -1 })).status,
        422,
        'not "never", as in some stores: leave it out',
      )
    },
  ],
  [
    'time to live',
    'it can be given in a bulk request and in a transaction, too',
    async (t, client) => {
      for (const atomic of [false, true]) {
        await batch(client, { atomic, items: [{ op: 'put', key: 'k', value: 1, ttl_seconds: 60 }] })
        const { body } = await client.get('k')
        t.ok((body.expires_in_seconds as number) > 30)
      }
    },
  ],
  [
    'delete with prefix',
    'all keys with the prefix are gone, and their number is told; a pattern in the prefix is none',
    async (t, client) => {
      for (const key of ['p%1', 'p%2', 'pq']) await client.set(key, 1)
      const answer = await client.request('POST', '/v1/invalidate', { body: { prefix: 'p%' } })
      t.same(answer.body, { removed: 2 })
      t.same(await valuesOf(client, ['p%1', 'p%2', 'pq']), { pq: 1 })
    },
  ],
  [
    'keys',
    'the keys with a prefix can be listed, in pages',
    async (t, client) => {
      for (const key of ['l:1', 'l:2', 'm']) await client.set(key, 1)
      const { body } = await client.request('GET', '/v1/entries?prefix=l:&limit=1')
      t.match(body, { entries: [{ key: 'l:1' }], next: 'l:1' })
    },
  ],
]

function put(client: JsonClient, key: string, raw: string, headers: Readonly<Record<string, string>>) {
  return client.request('PUT', `/v1/entries/${key}`, { raw, headers })
}

function putBytes(client: JsonClient, raw: Buffer) {
  const headers = { 'Content-Type': 'application/octet-stream' }
  return client.request('PUT', '/v1/entries/bytes', { raw, headers })
}

function batch(client: JsonClient, body: object) {
  return client.request('POST', '/v1/entries:batch', { body })
}

async function tagOf(client: JsonClient, key: string): Promise<string> {
  return String((await client.request('GET', `/v1/entries/${key}`)).headers.etag)
}

/** Returns a tag that an entry could have. */
function otherThan(tag: string): string {
  return tag.replace(/^"\d/, (start) => (start === '"1' ? '"2' : '"1'))
}

async function valuesOf(client: JsonClient, keys: readonly string[]): Promise<Record<string, unknown>> {
  const { body } = await client.request('POST', '/v1/entries:get', { body: { keys, consistency: 'strong' } })
  const entries = body.entries as readonly { key: string; value: unknown }[]
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]))
}

for (const [operation, fact, answer] of facts) {
  t.test(`${operation}: ${fact}`, async (t) => {
    const { url } = await cacheDatabase(t)
    const { client } = await startLiveSidecar(t, { databaseUrl: url })
    await answer(t, client)
  })
}
