import type { EntriesResponse } from '../../../../src/http-api.js'
import type { Entry } from '../api.js'
import { CachingLayerError } from '../caching-layer-error.js'
import type { HttpResponse } from '../http/http-message.js'
import type { AnswerFeed } from '../near/near-cache.js'
import { decoded } from './content.js'

/** An answer to a read of one key. */
export interface ReadAnswer {
  readonly entry: Entry<unknown> | undefined
  /** The feed by which the answer can be kept; undefined if it must not be kept. */
  readonly feed: AnswerFeed | undefined
  /** Remaining time to live of the entry, or of its absence (P18), in ms; undefined if it does not expire. */
  readonly remainingMs: number | undefined
  /** Size of the value as it was sent; undefined if it was sent together with others. */
  readonly bytes: number | undefined
}

export function readAnswer(response: HttpResponse): ReadAnswer {
  const { status, body } = response
  const feed = feedOf(response)
  if (status === 404) return { entry: undefined, feed, remainingMs: remainingMsOf(response), bytes: 0 }
  const cacheStatus = headerOf(response, 'cache-status') ?? ''
  return {
    entry: {
      value: contentOf(response),
      source: cacheStatus.includes('; hit') ? 'cache' : 'db',
      stale: /; detail=(unproven|kept)/.test(cacheStatus),
      etag: headerOf(response, 'etag'),
    },
    feed,
    remainingMs: remainingMsOf(response),
    bytes: body.length,
  }
}

/** Returns the answers to a read of several keys, by their keys. */
export function readAnswers(response: HttpResponse): Map<string, ReadAnswer> {
  const { entries, missing } = jsonOf<EntriesResponse>(response)
  const feed = feedOf(response)
  const answers = new Map<string, ReadAnswer>()
  for (const { key, value, encoding, source, stale = false, etag, expires_in_seconds: seconds } of entries) {
    const isBinary = encoding === 'base64' && typeof value === 'string'
    const content = isBinary ? new Uint8Array(Buffer.from(value, 'base64')) : value
    answers.set(key, {
      entry: { value: content, source, stale, etag },
      feed,
      remainingMs: seconds === undefined ? undefined : seconds * 1_000,
      bytes: undefined,
    })
  }
  // The absence of a bound key may have a time to live, of which a response about several keys does not tell.
  const absence = {
    entry: undefined,
    feed: feed?.viaOutbox ? undefined : feed,
    remainingMs: undefined,
    bytes: 0,
  }
  for (const key of missing) answers.set(key, absence)
  return answers
}

function contentOf(response: HttpResponse): unknown {
  try {
    return decoded(response.body, headerOf(response, 'content-type') ?? '')
  } catch (cause) {
    throw invalidResponse('the body is not valid JSON', cause)
  }
}

/** Returns the remaining time to live: the sidecar counts `max-age` from the moment of which `Age` tells. */
function remainingMsOf(response: HttpResponse): number | undefined {
  const [, maxAge] = /max-age=(\d+)/.exec(headerOf(response, 'cache-control') ?? '') ?? []
  if (maxAge === undefined) return undefined
  return Math.max(0, Number(maxAge) - Number(headerOf(response, 'age') ?? 0)) * 1_000
}

function feedOf(response: HttpResponse): AnswerFeed | undefined {
  const [name, parameter] = headerOf(response, 'change-feed')?.split('; ') ?? []
  return name === undefined ? undefined : { name, viaOutbox: parameter === 'outbox' }
}

export function headerOf({ headers }: HttpResponse, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

export function jsonOf<T>({ body }: HttpResponse): T {
  try {
    return JSON.parse(body.toString())
  } catch (cause) {
    throw invalidResponse('the body is not valid JSON', cause)
  }
}

function invalidResponse(detail: string, cause: unknown): CachingLayerError {
  return new CachingLayerError({ kind: 'invalid-response', detail, cause })
}
