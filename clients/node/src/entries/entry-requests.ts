import type { InvalidateRequest, InvalidateResponse } from '../../../../src/http-api.js'
import type { DeleteOptions, ReadOptions, RequestOptions, WriteOptions } from '../api.js'
import type { HttpRequest, HttpResponse } from '../http/http-message.js'
import type { Transport } from '../http/transport.js'
import type { EncodedValue } from './content.js'
import { conditionHeaders, groupsHeader, pathOf, ttlHeader } from './entry-headers.js'
import { headerOf, jsonOf, type ReadAnswer, readAnswer, readAnswers } from './read-answer.js'

/** A lease to compute a missing value, with the groups that it will belong to. */
export interface LeaseRequest {
  readonly leaseSeconds: number
  readonly waitSeconds: number
  readonly groups: readonly string[] | undefined
}

export interface LeasedAnswer extends ReadAnswer {
  /** The lease, if this client is to compute the value. */
  readonly lease: string | undefined
  /** True if there is no value and no lease, but a request that waits may get one of them. */
  readonly isAwaitable: boolean
}

export interface WriteAnswer {
  readonly status: number
  readonly token: string | undefined
  readonly etag: string | undefined
}

const jsonType = { 'Content-Type': 'application/json' }
/** Asks for the name of the feed in the response. */
const withFeed = { 'Change-Feed': '?1' }

/** Requests about entries, and what their responses say. All reject as `Transport.request` does. */
export class EntryRequests {
  readonly #transport: Pick<Transport, 'request'>

  constructor(transport: Pick<Transport, 'request'>) {
    this.#transport = transport
  }

  async get(key: string, token: string | undefined, options: ReadOptions): Promise<ReadAnswer> {
    return readAnswer(await this.#get(key, token && { 'Cache-Token': token }, options))
  }

  /** Reads a key, or waits for its value, or gets the lease to compute it. */
  async lease(
    key: string,
    token: string | undefined,
    { leaseSeconds, waitSeconds, groups }: LeaseRequest,
    options: RequestOptions,
  ): Promise<LeasedAnswer> {
    const response = await this.#get(
      key,
      {
        Prefer: `fill-lease=${leaseSeconds}, wait=${waitSeconds}`,
        ...(token && { 'Cache-Token': token }),
        ...groupsHeader(groups),
      },
      options,
      waitSeconds > 0,
    )
    const lease = headerOf(response, 'fill-lease')
    const isAwaitable = lease === undefined && headerOf(response, 'retry-after') !== undefined
    return { ...readAnswer(response), lease, isAwaitable }
  }

  #get(
    key: string,
    headers: Readonly<Record<string, string>> | '' | undefined,
    { consistency, ...options }: ReadOptions,
    mayWait = false,
  ): Promise<HttpResponse> {
    const path = pathOf(key) + (consistency === 'strong' ? '?consistency=strong' : '')
    return this.#transport.request(
      {
        method: 'GET',
        path,
        headers: { ...withFeed, ...(headers || {}) },
        isRead: true,
        answers: ['no-entry'],
        mayWait,
      },
      options,
    )
  }

  /** Reads up to 1,000 keys. Returns an answer for each of them. */
  async getMany(
    keys: readonly string[],
    { consistency = 'bounded', ...options }: ReadOptions,
  ): Promise<Map<string, ReadAnswer>> {
    const response = await this.#transport.request(
      {
        method: 'POST',
        path: '/v1/entries:get',
        headers: { ...jsonType, ...withFeed },
        body: JSON.stringify({ keys, consistency }),
        isRead: true,
      },
      options,
    )
    return readAnswers(response)
  }

  /** Writes a value, with a lease under which it was computed, if there is one. */
  put(
    key: string,
    { body, contentType }: EncodedValue,
    { ttlSeconds, groups, ifMatch, ifNoneMatch, ...options }: WriteOptions,
    lease?: string,
  ): Promise<WriteAnswer> {
    const headers = {
      'Content-Type': contentType,
      ...ttlHeader(ttlSeconds),
      ...groupsHeader(groups),
      ...conditionHeaders({ ifMatch, ifNoneMatch }),
      ...(lease !== undefined && { 'Fill-Lease': lease }),
    }
    return this.#write({ method: 'PUT', path: pathOf(key), headers, body, isRead: false }, options)
  }

  delete(key: string, { ifMatch, ifNoneMatch, ...options }: DeleteOptions): Promise<WriteAnswer> {
    const headers = conditionHeaders({ ifMatch, ifNoneMatch })
    const request = {
      method: 'DELETE',
      path: pathOf(key),
      headers,
      isRead: false,
      answers: ['no-entry'],
    } as const
    return this.#write(request, options)
  }

  /** Ends a lease whose value will not be stored. It changes no entry, so it may be sent again. */
  async giveBack(key: string, lease: string): Promise<void> {
    const headers = { 'Fill-Lease': lease }
    await this.#transport.request({ method: 'DELETE', path: pathOf(key), headers, isRead: true })
  }

  async #write(request: HttpRequest, options: RequestOptions): Promise<WriteAnswer> {
    const response = await this.#transport.request(request, options)
    return {
      status: response.status,
      token: headerOf(response, 'cache-token'),
      etag: headerOf(response, 'etag'),
    }
  }

  /** Removes entries. Returns their number. */
  async invalidate(selection: InvalidateRequest, options: RequestOptions): Promise<number> {
    const response = await this.#transport.request(
      {
        method: 'POST',
        path: '/v1/invalidate',
        headers: jsonType,
        body: JSON.stringify(selection),
        isRead: false,
      },
      options,
    )
    return jsonOf<InvalidateResponse>(response).removed
  }
}
