import type { Context } from 'koa'
import { hasCode } from '../../core/errors.js'
import type { Listing } from '../../core/reads/listing.js'
import type { CountResponse } from '../../http-api.js'
import type { Endpoint } from './endpoint.js'
import { countRequest, listRequest } from './list-request.js'
import { listResponse } from './list-response.js'
import { countOperation, listOperation } from './operations/entries-operations.js'
import { RequestError } from './problem.js'
import { sendByKoa } from './response.js'

export interface ListEndpointsOptions {
  readonly listing: Listing
}

const crowded = 'Too many requests for lists and counts are waiting: send one at a time'
const tooSlow = {
  list: 'The database did not list the entries in time: an index on (key collate "C") makes lists fast',
  count: 'The database did not count the entries in time: give a longer prefix',
}

/** Returns the endpoints that list and count entries. They always ask the primary. */
export function listEndpoints({ listing }: ListEndpointsOptions): readonly Endpoint[] {
  return [
    {
      method: 'get',
      path: '/v1/entries',
      listedQuery: '?prefix=&limit=&after=',
      operation: listOperation,
      handle: async (ctx) => {
        const request = listRequest(ctx.querystring)
        sendByKoa(
          ctx,
          listResponse(request, await asked(ctx, listing, tooSlow.list, () => listing.page(request))),
        )
      },
    },
    {
      method: 'get',
      path: '/v1/entries:count',
      listedQuery: '?prefix=',
      operation: countOperation,
      handle: async (ctx) => {
        const prefix = countRequest(ctx.querystring)
        const count = await asked(ctx, listing, tooSlow.count, () => listing.count(prefix))
        ctx.body = { count } satisfies CountResponse
      },
    },
  ]
}

/** Asks the database. Throws 503 with `tooSlow` as the detail if that takes too long. */
async function asked<T>(ctx: Context, listing: Listing, tooSlow: string, ask: () => Promise<T>): Promise<T> {
  if (listing.isCrowded) throw new RequestError(503, crowded, 'too-many-lists')
  try {
    const answer = await ask()
    ctx.state.source = 'db'
    return answer
  } catch (error) {
    if (hasCode(error, 'store-busy')) throw new RequestError(503, tooSlow, 'slow-list')
    throw error
  }
}
