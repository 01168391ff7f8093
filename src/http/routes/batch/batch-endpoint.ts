import type { Context } from 'koa'
import type { Cache } from '../../../core/cache.js'
import { CacheError } from '../../../core/errors.js'
import type { ConditionalWrite } from '../../../core/ports.js'
import type { BatchResponse, BatchResult } from '../../../http-api.js'
import type { RequestBodies } from '../../server/request-bodies.js'
import { withJsonBody } from '../body.js'
import type { Endpoint } from '../endpoint.js'
import { refuseConditions } from '../header-checks.js'
import { batchOperation } from '../operations/batch-operation.js'
import { type ProblemLog, problemIn, RequestError, sendProblem } from '../problem.js'
import { shortName } from '../short-name.js'
import { batchRequest } from './batch-request.js'
import {
  changeResult,
  deleteResult,
  failedResult,
  setResult,
  unconditionalDetail,
  unmetDetail,
} from './batch-result.js'

export interface BatchEndpointOptions {
  readonly cache: Cache
  /** Maximum size of a value. */
  readonly maxValueBytes: number
  /** True if each item must have a condition. */
  readonly requiresConditions: boolean
  readonly bodies: RequestBodies
  readonly log: ProblemLog
}

const largestBodyBytes = 8 * 1024 * 1024
const path = '/v1/entries:batch'

/** Returns the endpoint that writes and deletes several entries in one request. */
export function batchEndpoint(options: BatchEndpointOptions): Endpoint {
  const { bodies, maxValueBytes } = options
  const maxBytes = Math.min(largestBodyBytes, bodies.largestBytes)
  return {
    method: 'post',
    path,
    listedQuery: '',
    operation: batchOperation,
    handle: (ctx) => {
      refuseConditions(ctx)
      return withJsonBody(ctx, { maxBytes, bodies }, async (bytes) => {
        const { isAtomic, writes } = batchRequest(bytes, maxValueBytes)
        await (isAtomic ? writeTogether(ctx, writes, options) : writeEach(ctx, writes, options))
      })
    },
  }
}

async function writeTogether(
  ctx: Context,
  writes: readonly ConditionalWrite[],
  { cache, requiresConditions }: BatchEndpointOptions,
): Promise<void> {
  if (writes.length === 0) return send(ctx, [])
  const unconditional = requiresConditions ? writes.filter((write) => !hasCondition(write)) : []
  if (unconditional.length > 0) {
    const names = namesOf(
      writes,
      unconditional.map(({ key }) => key),
    )
    throw new RequestError(428, `${names}: ${unconditionalDetail}`)
  }
  try {
    const result = await cache.writeAll(writes)
    if (result.kind === 'unmet')
      sendProblem(ctx, { status: 412, detail: `${namesOf(writes, result.keys)}: ${unmetDetail}` })
    else
      send(
        ctx,
        writes.map((write, index) => changeResult(write, result.results[index])),
      )
    // A problem has no source by itself.
    ctx.state.source = 'db'
  } catch (error) {
    if (!(error instanceof CacheError) || error.key === undefined) throw error
    // The client names its items by their index.
    throw error.with({ key: namesOf(writes, [error.key]) })
  }
}

async function writeEach(
  ctx: Context,
  writes: readonly ConditionalWrite[],
  options: BatchEndpointOptions,
): Promise<void> {
  const { cache, log, requiresConditions } = options
  const results = writes.map(async (write) => {
    try {
      if (requiresConditions && !hasCondition(write)) throw new RequestError(428, unconditionalDetail)
      return await writeOne(cache, write)
    } catch (error) {
      return failedResult(write, problemIn(error, path, log))
    }
  })
  send(ctx, await Promise.all(results))
  ctx.state.source = 'db'
}

/** Writes without a condition share statements. */
async function writeOne(cache: Cache, write: ConditionalWrite): Promise<BatchResult> {
  const { key, value, condition, ...options } = write
  if (hasCondition(write)) {
    const content = value === undefined ? undefined : { value }
    return changeResult(write, await cache.change(key, content, { ...options, condition }))
  }
  if (value === undefined) return deleteResult(write, await cache.delete(key))
  return setResult(write, await cache.set(key, value, options))
}

function hasCondition({ condition }: ConditionalWrite): boolean {
  return condition.match !== undefined || condition.noneMatch !== undefined
}

function send(ctx: Context, results: readonly BatchResult[]): void {
  ctx.body = { results } satisfies BatchResponse
}

/** Returns the items of these keys as `items[2] (user:1)`. Not more than a few are named. */
function namesOf(writes: readonly ConditionalWrite[], keys: readonly string[]): string {
  const named = keys.slice(0, 3).map((key) => {
    const index = writes.findIndex((write) => write.key === key)
    return `items[${index}] (${shortName(key)})`
  })
  const more = keys.length - named.length
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(', ')
}
