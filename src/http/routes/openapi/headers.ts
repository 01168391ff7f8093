/** Headers of requests and responses, as the OpenAPI document describes them. */

interface Header {
  readonly description: string
  readonly schema: object
  readonly example: string
}

const text = { type: 'string' }
const tags = 'entity tags in double quotes, separated by commas, or `*`'

export const requestHeaders = {
  'Cache-Control': {
    description:
      'In a read, `no-cache` asks the primary, and `only-if-cached` never asks the database. In a PUT, `max-age` is the time to live in seconds.',
    schema: text,
    example: 'no-cache',
  },
  'Cache-Token': {
    description: 'Token of a write. The value that is returned is not older than this write.',
    schema: text,
    example: 'EUIZXDAymVXC',
  },
  'Cache-Groups': {
    description: 'Names of the groups of the entry, as strings in double quotes (RFC 9875).',
    schema: text,
    example: '"user:42", "page:home"',
  },
  'Fill-Lease': {
    description: 'Token of the lease under which the value was computed.',
    schema: text,
    example: 'mFZ0c9BFQm2X1nHBTqHqOw',
  },
  Prefer: {
    description:
      '`fill-lease=10` asks for a lease to compute a missing value, `wait=5` waits for one that somebody computes. With `If-None-Match`, `wait=30` waits until the entry is another (RFC 7240).',
    schema: text,
    example: 'fill-lease=10, wait=5',
  },
  'Change-Feed': {
    description:
      'Any value asks for `Change-Feed` in the response. A client that follows the changes needs it to keep the answer.',
    schema: text,
    example: '?1',
  },
  'Last-Event-ID': {
    description: 'Id of the last event that the client has received: the stream continues after it.',
    schema: text,
    example: 'b3JkZXJseSE:42',
  },
  'If-Match': {
    description: `The request fails with 412 unless the entry has one of these ${tags}, which any entry has.`,
    schema: text,
    example: '*',
  },
  'If-None-Match': {
    description: `A read gets 304, and a write 412, if the entry has one of these ${tags}, which any entry has.`,
    schema: text,
    example: '*',
  },
} as const satisfies Readonly<Record<string, Header>>

export type RequestHeaderName = keyof typeof requestHeaders

export const responseHeaders = {
  Age: {
    description: 'Seconds since the database was asked for the value.',
    schema: { type: 'string', pattern: '^[0-9]+$' },
    example: '3',
  },
  'Cache-Control': {
    description:
      'Remaining time to live: `max-age`, from which a client subtracts `Age`. `no-store` for a stream.',
    schema: text,
    example: 'max-age=60',
  },
  'Change-Feed': {
    description:
      'The feed whose changes the answer can be kept by, if it can be kept. `; outbox` says that the lease of the outbox counts as well.',
    schema: { type: 'string', pattern: '^[\\w-]+\\.[0-9]+(; outbox)?$' },
    example: 'b3JkZXJseSEh.3',
  },
  'Cache-Status': {
    description: 'Where the value came from (RFC 9211).',
    schema: { type: 'string', pattern: '^caching-layer; ' },
    example: 'caching-layer; hit; ttl=41',
  },
  'Cache-Token': {
    description: 'Token of the write, for reads that must see it.',
    schema: { type: 'string', pattern: '^[A-Za-z0-9_.-]+$' },
    example: 'EUIZXDAymVXC',
  },
  'Content-Security-Policy': {
    description: 'Keeps a browser from running the value as a page of the sidecar.',
    schema: text,
    example: "default-src 'none'; sandbox",
  },
  ETag: {
    description: 'Entity tag, which changes with every write.',
    schema: { type: 'string', pattern: '^"[^"]+"$' },
    example: '"50331699-7412345678901234567-0A1B2C3D"',
  },
  'Fill-Lease': {
    description: 'Token of a lease: compute the value, and send it with this token.',
    schema: { type: 'string', pattern: '^[A-Za-z0-9_-]+$' },
    example: 'mFZ0c9BFQm2X1nHBTqHqOw',
  },
  Link: {
    description: 'URL of the next page, with `rel="next"` (RFC 8288).',
    schema: { type: 'string', pattern: '^<[^>]+>; rel="next"$' },
    example: '</v1/entries?prefix=&limit=100&after=k>; rel="next"',
  },
  'Preference-Applied': {
    description: 'The preference that was applied, with the duration of the lease (RFC 7240).',
    schema: { type: 'string', pattern: '^fill-lease=[0-9.]+$' },
    example: 'fill-lease=10',
  },
  'Retry-After': {
    description: 'Seconds after which the request may be sent again.',
    schema: { type: 'string', pattern: '^[0-9]+$' },
    example: '1',
  },
  'X-Accel-Buffering': {
    description: 'Keeps a proxy from holding back events.',
    schema: { type: 'string', const: 'no' },
    example: 'no',
  },
  'WWW-Authenticate': {
    description: 'Asks for a token.',
    schema: { type: 'string', const: 'Bearer' },
    example: 'Bearer',
  },
} as const satisfies Readonly<Record<string, Header>>

export type HeaderName = keyof typeof responseHeaders
