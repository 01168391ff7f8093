import type { Context } from 'koa'
import type { Cache } from '../../../core/cache.js'
import type { ChangedReads } from '../../../core/changes/changed-reads.js'
import type { LeasedReads } from '../../../core/leases/leased-reads.js'
import { entryTag, type WriteCondition } from '../../../core/state/entry-tag.js'
import type { RequestBodies } from '../../server/request-bodies.js'
import { withBody } from '../body.js'
import { type ChangeFeedOptions, setChangeFeed } from '../changes/change-feed-header.js'
import { departure } from '../departure.js'
import type { Endpoint } from '../endpoint.js'
import type { Operation } from '../openapi/operation.js'
import { deleteEntryOperation, getEntryOperation, putEntryOperation } from '../operations/entry-operations.js'
import { RequestError, sendProblem } from '../problem.js'
import { checkedQuery } from '../query.js'
import { conditionsQuery, readConditions } from '../read-request.js'
import { sendByKoa } from '../response.js'
import { cacheGroups } from './cache-groups.js'
import { deleteResponse, putResponse } from './change-response.js'
import { checkContentType, contentOf } from './entry-content.js'
import { entryKey, entryPath } from './entry-key.js'
import { entryResponse } from './entry-response.js'
import { fillLease, missResponse } from './fill-lease.js'
import { maxAge } from './max-age.js'
import { isAmong, preconditions } from './preconditions.js'
import { preferences } from './prefer.js'

export interface EntryEndpointsOptions extends ChangeFeedOptions {
  readonly cache: Cache
  readonly leasedReads: LeasedReads
  readonly changedReads: ChangedReads
  /** Largest body of a PUT. */
  readonly maxValueBytes: number
  /** True if a PUT and a DELETE must have a condition. */
  readonly requiresConditions: boolean
  readonly bodies: RequestBodies
}

const pattern = /^\/v1\/entries\/.*$/s

/** Returns the endpoints of one entry, in the terms of HTTP: its value is the body. */
export function entryEndpoints(options: EntryEndpointsOptions): readonly Endpoint[] {
  const endpoint = (
    method: Endpoint['method'],
    operation: Operation,
    handle: Endpoint['handle'],
  ): Endpoint => ({
    method,
    operation,
    path: entryPath,
    pattern,
    listedQuery: '',
    handle,
  })
  return [
    endpoint('get', getEntryOperation, (ctx) => get(ctx, options)),
    endpoint('put', putEntryOperation, (ctx) => put(ctx, options)),
    endpoint('delete', deleteEntryOperation, (ctx) => remove(ctx, options)),
  ]
}

async function get(ctx: Context, endpoints: EntryEndpointsOptions): Promise<void> {
  const { cache, leasedReads, changedReads } = endpoints
  const key = entryKey(ctx)
  const query = checkedQuery(ctx.querystring, conditionsQuery)
  const { options, onlyIfCached } = readConditions(ctx, query)
  const condition = preconditions(ctx)
  const { leaseMs, waitMs } = preferences(ctx)
  const groups = cacheGroups(ctx) ?? []
  // A HEAD asks for nothing to be computed, and a read with If-Match fails without an entry.
  if (leaseMs !== undefined && !onlyIfCached && ctx.method === 'GET' && condition?.match === undefined) {
    const isGone = () => ctx.res.closed
    const request = { durationMs: leaseMs, groups, waitMs, isGone, signal: departure(ctx) }
    const result = await leasedReads.get(key, options, request)
    const isFound = result.kind === 'found'
    if (isFound) setChangeFeed(ctx, [key], [result.read], endpoints)
    sendByKoa(ctx, isFound ? entryResponse(result.read, condition) : missResponse(result, leaseMs))
    return
  }
  const known = condition?.noneMatch
  const waits = waitMs > 0 && known !== undefined && !onlyIfCached
  const read = waits
    ? await changedReads.get(key, options, {
        isKnown: ({ value, written }) =>
          value !== undefined && isAmong(known, written && entryTag(written), true),
        waitMs,
        signal: departure(ctx),
      })
    : await (onlyIfCached ? cache.recall(key, options) : cache.get(key, options))
  if (read) setChangeFeed(ctx, [key], [read], endpoints)
  if (read === undefined) sendProblem(ctx, { status: 504, detail: 'Not in memory, and only-if-cached' })
  else sendByKoa(ctx, entryResponse(read, condition))
}

async function put(ctx: Context, options: EntryEndpointsOptions): Promise<void> {
  const { cache, maxValueBytes, bodies } = options
  const key = entryKey(ctx)
  if (ctx.get('Content-Range') !== '')
    throw new RequestError(400, 'Content-Range: an entry is only written as a whole', 'partial-write')
  const lease = fillLease(ctx)
  const condition = lease === undefined ? writeCondition(ctx, options) : undefined
  const contentType = checkContentType(ctx)
  const ttlMs = maxAge(ctx)
  const groups = cacheGroups(ctx)
  await withBody(ctx.req, { maxBytes: maxValueBytes, bodies }, async (bytes) => {
    const { isExact, ...content } = contentOf(bytes, contentType, maxValueBytes)
    const change = { condition, lease, ttlMs, groups }
    sendByKoa(ctx, putResponse(await cache.change(key, content, change), isExact))
  })
}

async function remove(ctx: Context, options: EntryEndpointsOptions): Promise<void> {
  const key = entryKey(ctx)
  const lease = fillLease(ctx)
  if (lease !== undefined) {
    await options.leasedReads.giveBack(key, lease)
    sendByKoa(ctx, { status: 204, headers: [], body: '', source: 'db' })
    return
  }
  const condition = writeCondition(ctx, options)
  sendByKoa(ctx, deleteResponse(await options.cache.change(key, undefined, { condition })))
}

/** Returns the condition of a write. Throws 422 or 428. */
function writeCondition(
  ctx: Context,
  { requiresConditions }: EntryEndpointsOptions,
): WriteCondition | undefined {
  const condition = preconditions(ctx)
  if (condition === undefined && requiresConditions)
    throw new RequestError(428, 'If-Match or If-None-Match: required, because CACHE_REQUIRE_CONDITIONS is on')
  return condition
}
