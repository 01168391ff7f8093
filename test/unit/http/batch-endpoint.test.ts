import t from 'tap'
import type { Cache } from '../../../src/core/cache.js'
import type { JsonClient } from '../../support/json-client.js'
import { modelHttp } from '../../support/model-http.js'

const put = (key: string, more = {}) => ({ op: 'put', key, value: 1, ...more })
const send = (client: JsonClient, body: object) => client.request('POST', '/v1/entries:batch', { body })

t.test('a put with a condition keeps its time to live and its groups', async (t) => {
  const options: object[] = []
  const cache = {
    change: async (_key: string, _content: object, given: object) => {
      options.push(given)
      return { kind: 'kept' }
    },
  } as unknown as Cache
  const { client } = await modelHttp(t, { cache })
  const item = put('k', { if_none_match: '*', ttl_seconds: 2, groups: ['g'] })
  t.match(await send(client, { items: [item] }), { body: { results: [{ status: 202 }] } })
  t.match(options, [{ ttlMs: 2_000, groups: ['g'], condition: { noneMatch: '*' } }])
})

t.test('an item that fails by a mistake of ours is logged, and the others are written', async (t) => {
  const cache = {
    set: async (key: string) => {
      if (key === 'bug') throw new Error('secret')
      return { written: true, token: 'EUIZXDAymVXC' }
    },
  } as unknown as Cache
  const { client, errors } = await modelHttp(t, { cache })
  const answer = await send(client, { items: [put('bug'), put('k')] })
  t.strictSame(answer.body.results, [
    { key: 'bug', status: 500, detail: 'Internal Server Error' },
    { key: 'k', status: 204, token: 'EUIZXDAymVXC' },
  ])
  t.match(errors, [{ path: '/v1/entries:batch', err: { message: 'secret' } }])
})

t.test('a failure of an atomic batch that is not about one item names none', async (t) => {
  const { client, store } = await modelHttp(t)
  store.stop()
  t.match(await send(client, { items: [put('k')], atomic: true }), {
    status: 503,
    body: { type: /#store-unavailable$/, detail: /^The database cannot be reached/ },
  })
})

t.test('names of three items are given, and the number of those after them', async (t) => {
  const { client } = await modelHttp(t)
  const items = (count: number) =>
    Array.from({ length: count }, (_, index) => put(`k${index}`, { if_match: '*' }))
  const detailOf = async (count: number) =>
    (await send(client, { items: items(count), atomic: true })).body.detail
  const three = 'items[0] (k0), items[1] (k1), items[2] (k2)'
  const unmet = ': the entry is not as if_match or if_none_match requires'
  t.equal(await detailOf(3), `${three}${unmet}`)
  t.equal(await detailOf(5), `${three} and 2 more${unmet}`)
})

t.test(
  'a body is refused for good if it is larger than all batches, or than the memory for bodies',
  async (t) => {
    const ask = async (path: string, largestBytes: number, bytes: number) => {
      const bodies = { largestBytes, hasRoomFor: () => false } as never
      const { client } = await modelHttp(t, { bodies })
      const headers = { 'Content-Type': 'application/json', 'Content-Length': bytes }
      const { status, body } = await client.request('POST', path, { headers })
      return [status, body.detail]
    }
    const mebibyte = 1024 * 1024
    for (const [path, maxBytes] of [
      ['/v1/entries:batch', 8 * mebibyte],
      ['/v1/entries:get', 2 * mebibyte],
    ] as const)
      for (const [memoryBytes, largest] of [
        [maxBytes - 1, maxBytes - 1],
        [maxBytes + 1, maxBytes],
      ] as const) {
        t.strictSame(await ask(path, memoryBytes, largest + 1), [413, `body: larger than ${largest} bytes`])
        t.match(await ask(path, memoryBytes, largest), [503, /^No memory is left for the body/])
      }
  },
)
