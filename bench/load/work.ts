import { drawKeys } from '../../src/tools/load/key-choice.js'

/** Requests of a load; `keys` counts `key:1`, `key:2`, ... */
export type Work =
  /** One path, again and again. */
  | { readonly kind: 'hit'; readonly path: string }
  /** GET of a key at random. */
  | { readonly kind: 'random'; readonly keys: number }
  /** GET of a key, few of them very often: the more the larger the exponent. */
  | { readonly kind: 'zipf'; readonly keys: number; readonly exponent: number }
  /** GET of one key after the other, in no order that an index would like, from the given place on. */
  | { readonly kind: 'walk'; readonly keys: number; readonly from: number }
  /** The same, by POST, so many keys in one request. */
  | { readonly kind: 'bulk-walk'; readonly keys: number; readonly from: number; readonly perRequest: number }
  /** POST that reads `key:1` to the last of the keys at once. */
  | { readonly kind: 'bulk'; readonly keys: number }
  /** POST of a string under `PREFIX:1`, `PREFIX:2`, ... */
  | { readonly kind: 'set-new'; readonly prefix: string; readonly valueBytes: number }
  /** POST of a string under a key at random. */
  | { readonly kind: 'set'; readonly keys: number; readonly valueBytes: number }

const stride = 7_919

/** The bytes of one request after the other. */
export function requestsOf(work: Work): () => Buffer {
  switch (work.kind) {
    case 'hit': {
      const request = get(work.path)
      return () => request
    }
    case 'random':
      return () => get(`/cache/get?key=key:${1 + Math.floor(Math.random() * work.keys)}`)
    case 'zipf': {
      const draw = drawKeys({ count: work.keys, exponent: work.exponent }, Math.random)
      return () => get(`/cache/get?key=key:${draw()}`)
    }
    case 'walk': {
      let place = work.from
      return () => get(`/cache/get?key=${walked(place++, work.keys)}`)
    }
    case 'bulk-walk': {
      let place = work.from
      return () => {
        const keys = Array.from({ length: work.perRequest }, () => walked(place++, work.keys))
        return postJson('/v1/entries:get', { keys })
      }
    }
    case 'bulk': {
      const keys = Array.from({ length: work.keys }, (_, index) => `key:${index + 1}`)
      const request = postJson('/v1/entries:get', { keys })
      return () => request
    }
    case 'set-new': {
      const value = 'x'.repeat(work.valueBytes)
      let count = 0
      return () => post({ key: `${work.prefix}:${++count}`, value })
    }
    case 'set': {
      const value = 'x'.repeat(work.valueBytes)
      return () => post({ key: `key:${1 + Math.floor(Math.random() * work.keys)}`, value })
    }
  }
}

function walked(place: number, keys: number): string {
  return `key:${((place * stride) % keys) + 1}`
}

export function get(path: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
}

export function post(body: { readonly key: string; readonly value: unknown }): Buffer {
  return postJson('/cache/set', body)
}

function postJson(path: string, body: object): Buffer {
  const text = JSON.stringify(body)
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
}
