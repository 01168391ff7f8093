import type { Answer, Sending } from '../json-client.js'
import type { DocumentedOperation } from './documented.js'
import { rawAnswer } from './raw-answer.js'
import { proveChanges } from './stream-walks.js'
import { large, maxValueBytes, type WalkSidecars } from './walk-sidecars.js'

/** Sends one request, and returns its response. */
export type Walk = (sidecars: WalkSidecars, operation: DocumentedOperation) => Promise<Answer>

/** Path and query of a request of each operation that names one entry. */
const targets: Readonly<Record<string, string>> = {
  '/cache/get': '/cache/get?key=none',
  '/cache/delete': '/cache/delete?key=none',
  '/v1/entries/{key}': '/v1/entries/none',
}

const pathOf = ({ path }: DocumentedOperation) => targets[path] ?? path

/** Returns a walk that sends the usual request of the operation to one sidecar, with changes. */
function send(
  name: keyof WalkSidecars,
  sending: Sending | ((operation: DocumentedOperation) => Sending) = {},
  path = pathOf,
): Walk {
  return (sidecars, operation) =>
    sidecars[name].client.request(
      operation.method,
      path(operation),
      typeof sending === 'function' ? sending(operation) : sending,
    )
}

/** Returns a walk that sends a request head that no client would send. */
function raw(headers: readonly string[], body: string | undefined, port = portOfUsual): Walk {
  return (sidecars, operation) => {
    const head = [`${operation.method} ${pathOf(operation)} HTTP/1.1`, ...headers].join('\r\n')
    return rawAnswer(port(sidecars), body === undefined ? `${head}\r\n` : `${head}\r\n\r\n${body}`)
  }
}

const portOfUsual = ({ usual }: WalkSidecars) => usual.sidecar.port
const at = (path: string) => () => path
const entry = (key: string) => at(`/v1/entries/${key}`)

/** Requests that get the responses which every operation has. */
export const commonWalks: Readonly<Record<number, Walk>> = {
  400: raw([], ''),
  401: send('guarded'),
  408: raw(['Host: localhost'], undefined),
  413: raw(['Host: localhost', 'Transfer-Encoding: chunked'], `1;${'a'.repeat(20_000)}\r\n`),
  414: send('usual', {}, (operation) => `${pathOf(operation)}?${'x'.repeat(12 * 1024)}`),
  417: send('usual', { headers: { Expect: 'a miracle' } }),
  421: send('usual', { headers: { Host: 'evil.example' } }),
  431: send('usual', {
    headers: Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`x-${index}`, '1'])),
  }),
  503: ({ full }, operation) => large(full.client, operation.method, pathOf(operation)),
}

const misspelt: Walk = send('usual', {}, (operation) => `${pathOf(operation)}?key=%00&consistancy=1&prefx=1`)
const onlyIfCached = { headers: { 'Cache-Control': 'only-if-cached' } }
const noMatch = { headers: { 'If-Match': '"1-2-0A1B2C3D"' } }
const text = { raw: 'text', headers: { 'Content-Type': 'text/plain' } }

/** Responses of an operation with a JSON body. */
const withBody = (body: object): Readonly<Record<number, Walk>> => ({
  200: send('usual', { body }),
  403: send('powerless', { body }),
  415: send('usual', text),
  422: send('usual', { raw: '[]' }),
})

const readOfEntry: Readonly<Record<number, Walk>> = {
  200: send('usual', {}, entry('held')),
  304: send('usual', { headers: { 'If-None-Match': '*' } }, entry('held')),
  403: send('powerless'),
  404: send('usual'),
  412: send('usual', { headers: { 'If-Match': '*' } }),
  422: send('usual', {}, entry('%00')),
  // A key that is not known to be absent.
  504: send('usual', onlyIfCached, entry('unread')),
}

/** Requests that get the responses of each operation besides the common ones. */
export const walks: Readonly<Record<string, Readonly<Record<number, Walk>>>> = {
  getHealth: { 200: send('usual') },
  getService: { 200: send('usual') },
  getStatistics: { 200: send('usual') },
  getOpenApi: {
    200: send('usual'),
    304: async ({ usual: { client } }) => {
      const { etag = '' } = (await client.request('GET', '/openapi.json')).headers
      return client.request('GET', '/openapi.json', { headers: { 'If-None-Match': etag } })
    },
  },
  shutDown: {
    202: send('usual'),
    403: send('usual', { headers: { Origin: 'https://page.example' } }),
  },
  getValue: {
    200: send('usual', {}, at('/cache/get?key=held')),
    403: send('powerless'),
    404: send('usual'),
    422: misspelt,
    504: send('usual', onlyIfCached, at('/cache/get?key=unread')),
  },
  setValue: {
    ...withBody({ key: 'k', value: 1, ttl_seconds: 60, groups: ['g'] }),
    409: send('usual', { body: { key: 'bound:1', value: 1 } }),
  },
  deleteValue: {
    200: send('usual'),
    403: send('powerless'),
    409: send('usual', {}, at('/cache/delete?key=bound:1')),
    422: misspelt,
  },
  getEntry: readOfEntry,
  headEntry: readOfEntry,
  putEntry: {
    201: send('usual', text, entry('new')),
    202: send('cut', text),
    204: send('usual', text, entry('held')),
    403: send('powerless', text),
    409: send('usual', text, entry('bound:1')),
    412: send('usual', { raw: '1', ...noMatch }),
    415: send('usual', { raw: 'x', headers: { 'Content-Encoding': 'gzip' } }),
    422: send('usual', { raw: 'no JSON' }),
    428: send('strict', text),
  },
  deleteEntry: {
    202: send('cut'),
    204: async (sidecars, operation) => {
      await sidecars.usual.client.set('there', 1)
      return send('usual', {}, entry('there'))(sidecars, operation)
    },
    403: send('powerless'),
    404: send('usual'),
    409: send('usual', {}, entry('bound:1')),
    412: send('usual', noMatch),
    422: send('usual', {}, entry('%ff')),
    428: send('strict'),
  },
  getEntries: {
    ...withBody({ keys: ['held', 'none'] }),
    504: send('usual', { body: { keys: ['unread'] }, ...onlyIfCached }),
  },
  listEntries: { 200: send('usual'), 403: send('powerless'), 422: misspelt },
  countEntries: { 200: send('usual'), 403: send('powerless'), 422: misspelt },
  invalidateEntries: withBody({ groups: ['none'] }),
  followChanges: { 200: send('usual'), 422: misspelt },
  proveChanges: {
    204: proveChanges,
    404: send('usual', { body: { stream: 'none', question: '1' } }),
    415: send('usual', text),
    422: send('usual', { raw: '[]' }),
  },
  writeEntries: {
    ...withBody({ atomic: true, items: [{ op: 'put', key: 'k', value: 1, ttl_seconds: 60, groups: ['g'] }] }),
    409: send('usual', { body: { atomic: true, items: [{ op: 'put', key: 'bound:1', value: 1 }] } }),
    428: send('strict', { body: { atomic: true, items: [{ op: 'delete', key: 'k' }] } }),
    412: send('usual', { body: { atomic: true, items: [{ op: 'delete', key: 'none', if_match: '*' }] } }),
  },
}

/** Further requests for responses that two causes can have. */
export const furtherWalks: readonly (readonly [operation: string, status: number, walk: Walk])[] = [
  ['getValue', 413, send('small', {}, at('/cache/get?key=large'))],
  ['getEntry', 413, send('small', {}, entry('large'))],
  ['headEntry', 413, send('small', {}, entry('large'))],
  ['getEntries', 413, send('small', { body: { keys: ['large'] } })],
  ['setValue', 413, send('usual', { body: { key: 'k', value: 'x'.repeat(maxValueBytes) } })],
  [
    'putEntry',
    413,
    send('usual', { raw: Buffer.alloc(maxValueBytes), headers: { 'Content-Type': 'image/png' } }),
  ],
  ['putEntry', 400, send('usual', { ...text, headers: { 'Content-Range': 'bytes 0-1/2' } })],
  ['setValue', 200, send('cut', { body: { key: 'k', value: 1 } })],
  ['deleteValue', 200, send('cut')],
  ['getHealth', 200, send('cut')],
  ['getStatistics', 200, send('cut')],
  ['listEntries', 200, send('usual', {}, at('/v1/entries?limit=1&values=true'))],
  ['getEntry', 404, send('usual', { headers: { Prefer: 'fill-lease=1' } }, entry('leased'))],
  [
    'putEntry',
    412,
    send('usual', { raw: '1', headers: { ...text.headers, 'Fill-Lease': 'a'.repeat(22) } }, entry('leased')),
  ],
  ['writeEntries', 200, send('usual', { body: { items: [{ op: 'delete', key: 'none' }] } })],
  ['writeEntries', 200, send('cut', { body: { items: [{ op: 'put', key: 'k', value: 1 }] } })],
  ['writeEntries', 503, send('cut', { body: { atomic: true, items: [{ op: 'put', key: 'k', value: 1 }] } })],
  // No other request of this list writes `cold`.
  ['getValue', 503, send('cut', {}, at('/cache/get?key=cold'))],
  ['getEntry', 503, send('cut', {}, entry('cold'))],
  ['headEntry', 503, send('cut', {}, entry('cold'))],
  ['listEntries', 503, send('cut')],
  ['countEntries', 503, send('cut')],
  ['getEntries', 503, send('cut', { body: { keys: ['cold'] } })],
  ['invalidateEntries', 503, send('cut', { body: { all: true } })],
  ['deleteEntry', 503, send('cut', noMatch)],
  ['deleteEntry', 204, send('usual', { headers: { 'Fill-Lease': 'a'.repeat(22) } })],
]
