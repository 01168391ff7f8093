import t from 'tap'
import type { Client, ClientOptions } from '../../../clients/node/src/api.js'
import { createClient } from '../../../clients/node/src/index.js'
import { clientError } from '../../support/client-error.js'
import { nearOptions } from '../../support/connected-client.js'

/** Nothing listens there: an argument that is not refused shows as another kind of error. */
const url = 'http://127.0.0.1:1'
const near = { maxEntries: 10, maxBytes: 1_000 }
const cyclic: Record<string, unknown> = {}
cyclic.self = cyclic

const invalid = (detail: RegExp) => clientError({ kind: 'invalid-value', detail, retryable: false })

t.test('a client is not created from invalid options', async (t) => {
  const cases: readonly (readonly [options: unknown, detail: RegExp])[] = [
    [undefined, /^options: must be an object/],
    [url, /^options: must be an object/],
    [{}, /^url: /],
    [{ url: new URL('ftp://a') }, /^url: /],
    [{ url: 'http://:secret@127.0.0.1:1' }, /^url: /],
    [{ url, token: 5 }, /^token: must be a string/],
    [{ url, token: 'a\nb' }, /^token: /],
    [{ url, timeoutMs: Number.NaN }, /^timeoutMs: must be a number greater than 0, but is NaN/],
    [{ url, timeoutMs: -1 }, /^timeoutMs: .* is -1/],
    [{ url, timeoutMs: 0 }, /^timeoutMs: /],
    [{ url, timeoutMs: '5' }, /^timeoutMs: .* is "5"/],
    [{ url, maxConnections: 0 }, /^maxConnections: must be a whole number from 1 on/],
    [{ url, maxConnections: 1.5 }, /^maxConnections: /],
    [{ url, near: true }, /^near: must be an object/],
    [{ url, near: {} }, /^near\.maxEntries: must be a whole number .* is missing/],
    [{ url, near: { ...near, maxEntries: '10' } }, /^near\.maxEntries: /],
    [{ url, near: { ...near, maxEntries: 0 } }, /^near\.maxEntries: /],
    [{ url, near: { ...near, maxEntries: 2 ** 32 } }, /^near\.maxEntries: /],
    [{ url, near: { maxEntries: 10 } }, /^near\.maxBytes: /],
    [{ url, near: { ...near, maxBytes: 0.5 } }, /^near\.maxBytes: /],
    [{ url, near: { ...near, ttlMs: Number.NaN } }, /^near\.ttlMs: /],
    [{ url, timeout: 5 }, /^timeout: unknown option; there are url, token, timeoutMs, maxConnections, near$/],
    [
      { url, near: { ...near, maxByte: 5 } },
      /^near\.maxByte: unknown option; there are maxEntries, maxBytes, ttlMs$/,
    ],
  ]
  for (const [options, detail] of cases)
    t.throws(() => createClient(options as ClientOptions).close(), invalid(detail), String(detail))
  for (const options of [
    { url, near: { ...near, ttlMs: Number.POSITIVE_INFINITY } },
    { url, near: undefined, token: undefined, timeoutMs: undefined, maxConnections: undefined },
  ])
    await createClient(options).close()
})

/** Calls with invalid arguments, and what their errors say. */
const calls: Readonly<Record<string, readonly (readonly [args: readonly unknown[], detail: RegExp])[]>> = {
  get: [
    [[], /^key: must be a string, but is missing/],
    [[5], /^key: must be a string, but is 5/],
    [[Symbol('s')], /^key: must be a string/],
    [[''], /^key: must not be empty/],
    [['a\0'], /^key: must not contain U\+0000/],
    [['\ud800'], /^key: contains a lone surrogate/],
    [['x'.repeat(1_025)], /^key: longer than 1024 bytes/],
    [['k', 'strong'], /^options: must be an object/],
    [['k', null], /^options: must be an object/],
    [['k', { consistency: 'Strong' }], /^consistency: must be "bounded" or "strong", but is "Strong"/],
    [['k', { timeoutMs: Number.NaN }], /^timeoutMs: /],
    [['k', { timeoutMs: '1' }], /^timeoutMs: /],
    [['k', { signal: {} }], /^signal: must be an AbortSignal/],
    [['k', { schema: {} }], /^schema: must be a Standard Schema/],
    [['k', { schema: null }], /^schema: /],
    [
      ['k', { consistancy: 'strong' }],
      /^consistancy: unknown option; there are signal, timeoutMs, consistency, schema$/,
    ],
    [['k', { ttlSeconds: 5 }], /^ttlSeconds: unknown option/],
  ],
  getEntry: [
    [[5], /^key: /],
    [['k', { consistency: 1 }], /^consistency: /],
    [['k', { strong: true }], /^strong: unknown option/],
  ],
  getMany: [
    [['abc'], /^keys: must be an array/],
    [[], /^keys: must be an array, but is missing/],
    [[['a', 5]], /^keys: must be a string, but is 5/],
    [[['a', '']], /^keys: must not be empty/],
    [[['a'], { timeoutMs: 0 }], /^timeoutMs: /],
    [[['a'], { timeout: 5 }], /^timeout: unknown option/],
  ],
  set: [
    [[5, 1], /^key: /],
    [['k', 1n], /^value: .*BigInt/],
    [['k', cyclic], /^value: .*circular/],
    [['k'], /^value: must be JSON, and not null/],
    [['k', null], /^value: /],
    [['k', Symbol('s')], /^value: /],
    [['k', new ArrayBuffer(1)], /^value: bytes must be a Uint8Array/],
    [['k', new Uint16Array(1)], /^value: bytes must be a Uint8Array/],
    [['k', Number.NaN], /^value: /],
    [['k', 1, { ttlSeconds: 0 }], /^ttlSeconds: must be a whole number from 1 to 1000000000, but is 0/],
    [['k', 1, { ttlSeconds: '60' }], /^ttlSeconds: /],
    [['k', 1, { ttlSeconds: Number.POSITIVE_INFINITY }], /^ttlSeconds: /],
    [['k', 1, { groups: 'g' }], /^groups: must be an array/],
    [['k', 1, { groups: [5] }], /^groups: /],
    [['k', 1, { groups: ['ü'] }], /^groups: /],
    [['k', 1, { contentType: 5 }], /^contentType: must be a string/],
    [['k', 1, { contentType: 'a\nb' }], /^contentType: /],
    [['k', 'text', { contentType: '' }], /^contentType: must be a media type/],
    [['k', 'text', { contentType: ' ' }], /^contentType: must be a media type/],
    [['k', 1, { contentType: 'text/plain' }], /^value: /],
    [['k', 1, { ifMatch: 5 }], /^ifMatch: /],
    [['k', 1, { ifNoneMatch: null }], /^ifNoneMatch: /],
    [['k', 1, { timeoutMs: -1 }], /^timeoutMs: /],
    [['k', 1, 60], /^options: must be an object/],
    [
      ['k', 1, { ttl: 5 }],
      /^ttl: unknown option; there are signal, timeoutMs, ifMatch, ifNoneMatch, ttlSeconds, groups, contentType$/,
    ],
  ],
  delete: [
    [[undefined], /^key: /],
    [['k', { ifMatch: ['a'] }], /^ifMatch: /],
    [['k', { signal: 5 }], /^signal: /],
    [['k', { ifNoneMatch: 5 }], /^ifNoneMatch: /],
    [
      ['k', { ttlSeconds: 5 }],
      /^ttlSeconds: unknown option; there are signal, timeoutMs, ifMatch, ifNoneMatch$/,
    ],
  ],
  invalidate: [
    [[], /^selection: must be an object, but is missing/],
    [['users'], /^selection: must be an object/],
    [[{}], /^selection: must have keys, groups or a prefix/],
    [[{ keys: 'k' }], /^keys: must be an array/],
    [[{ groups: [1n] }], /^groups: must be a string/],
    [[{ prefix: '' }], /^prefix: must not be empty/],
    [[{ prefix: 5 }], /^prefix: /],
    [[{ keys: ['k'] }, { timeoutMs: Number.NaN }], /^timeoutMs: /],
    [[{ keys: ['k'], group: 'g' }], /^group: unknown option; there are keys, groups, prefix$/],
    [[{ keys: ['k'] }, { ttlSeconds: 5 }], /^ttlSeconds: unknown option; there are signal, timeoutMs$/],
  ],
  getOrCompute: [
    [[5, () => 1], /^key: /],
    [['k'], /^compute: must be a function, but is missing/],
    [['k', 7], /^compute: must be a function, but is 7/],
    [['k', () => 1, { leaseSeconds: 0 }], /^leaseSeconds: must be a whole number from 1 to 300/],
    [['k', () => 1, { leaseSeconds: 0.5 }], /^leaseSeconds: /],
    [['k', () => 1, { waitSeconds: -1 }], /^waitSeconds: must be a whole number from 0/],
    [['k', () => 1, { waitSeconds: Number.NaN }], /^waitSeconds: /],
    [['k', () => 1, { waitSeconds: '5' }], /^waitSeconds: /],
    [['k', () => 1, { ttlSeconds: 0.5 }], /^ttlSeconds: /],
    [['k', () => 1, { groups: ['ü'] }], /^groups: /],
    [['k', () => 1, { timeoutMs: 0 }], /^timeoutMs: /],
    [['k', () => 1, { schema: 7 }], /^schema: /],
    [
      ['k', () => 1, { ttl: 5 }],
      /^ttl: unknown option; there are .*ttlSeconds, groups, leaseSeconds, waitSeconds, schema$/,
    ],
  ],
}

for (const [name, cases] of Object.entries(calls))
  t.test(`${name} refuses invalid arguments, without a request`, async (t) => {
    for (const options of [{ url }, { url, near: nearOptions }]) {
      const app = createClient(options)
      t.teardown(() => app.close())
      const method = app[name as keyof Client] as (...args: unknown[]) => Promise<unknown>
      for (const [args, detail] of cases) {
        // A method that throws would need two ways to catch its errors.
        const call = (() => method.apply(app, [...args]))()
        await t.rejects(call, invalid(detail), String(detail))
      }
    }
  })

t.test('watch refuses invalid arguments', async (t) => {
  const app = createClient({ url })
  t.teardown(() => app.close())
  for (const [options, detail] of [
    [{ prefix: 5 }, /^prefix: must be a string/],
    [{ prefix: '\ud800' }, /^prefix: contains a lone surrogate/],
    [{ signal: 1 }, /^signal: /],
    [{ prefixes: ['a'] }, /^prefixes: unknown option; there are prefix, signal$/],
    [5, /^options: /],
  ] as const)
    await t.rejects(app.watch(options as never).next(), invalid(detail))
})

t.test('near.get refuses a key that is no string', async (t) => {
  const app = createClient({ url, near: nearOptions })
  t.teardown(() => app.close())
  for (const key of [5, undefined, Symbol('s')])
    t.throws(() => app.near?.get(key as never), invalid(/^key: must be a string/))
})

t.test('arguments are invalid, and not unused', async (t) => {
  const app = createClient({ url })
  t.teardown(() => app.close())
  // No options, and options that are undefined, are the usual ones, whatever their name.
  await t.rejects(app.get('k', undefined), clientError({ kind: 'unreachable' }))
  await t.rejects(
    app.get('k', {
      timeoutMs: undefined,
      signal: undefined,
      consistency: undefined,
      ttl: undefined,
    } as object),
    clientError({ kind: 'unreachable' }),
  )
  t.equal(await app.getOrCompute('k', () => 1, { waitSeconds: undefined, leaseSeconds: undefined }), 1)
})
