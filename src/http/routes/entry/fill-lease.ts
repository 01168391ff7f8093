import type { Context } from 'koa'
import type { LeasedRead } from '../../../core/leases/leased-reads.js'
import type { ChangeResult } from '../../../core/writes/write-result.js'
import { cacheStatus } from '../cache-status.js'
import { requireOnce } from '../header-checks.js'
import { type Problem, problemResponse, RequestError } from '../problem.js'
import type { PlainResponse } from '../response.js'
import { preconditions } from './preconditions.js'

const form = /^[A-Za-z0-9_-]{22}$/

/** Returns the lease that a PUT uses or a DELETE gives back; undefined for none. Throws 400 or 422. */
export function fillLease(ctx: Context): string | undefined {
  if (ctx.headers['fill-lease'] === undefined) return undefined
  requireOnce(ctx, 'Fill-Lease')
  const lease = ctx.get('Fill-Lease')
  if (!form.test(lease)) throw new RequestError(422, 'Fill-Lease: not one that this service gave out')
  if (preconditions(ctx) !== undefined)
    throw new RequestError(422, 'Fill-Lease: must not be combined with If-Match or If-None-Match')
  return lease
}

/** Returns the response to a read that has found no value, and wanted to fill the entry for `leaseMs`. */
export function missResponse(
  result: Exclude<LeasedRead, { readonly kind: 'found' }>,
  leaseMs: number,
): PlainResponse {
  const headers = ['Cache-Status', cacheStatus(result.read)]
  if (result.kind === 'granted') {
    headers.push('Fill-Lease', result.lease, 'Preference-Applied', `fill-lease=${leaseMs / 1_000}`)
    return { ...problemResponse({ status: 404, detail: 'Key not found' }, headers), source: 'db' }
  }
  const retryAfterSeconds = Math.max(1, Math.ceil(result.retryAfterMs / 1_000))
  const detail = result.isBlocked ? blocked : 'Key not found: another client is computing the value'
  return { ...problemResponse({ status: 404, detail, retryAfterSeconds }, headers), source: 'db' }
}

const blocked =
  'Key not found: no lease is given at the moment. A transaction that invalidates the key or a group is open, or other leases are being given'

type Refusal = NonNullable<Extract<ChangeResult, { readonly kind: 'unmet' }>['refusal']>

/** Responses to a PUT whose value was not stored because of its lease. */
export const refusals: Readonly<Record<Refusal, Problem>> = {
  'no-lease': {
    status: 412,
    detail: 'Fill-Lease: has ended, or was revoked by an invalidation',
    kind: 'lease-ended',
  },
  present: { status: 412, detail: 'Fill-Lease: there is an entry already', kind: 'lease-ended' },
  'other-groups': {
    status: 422,
    detail: 'Cache-Groups: must be among the groups of the request that returned the Fill-Lease',
  },
}
