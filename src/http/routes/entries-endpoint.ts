import type { Context } from 'koa'
import type { Cache } from '../../core/cache.js'
import type { ReadResult } from '../../core/reads/read-result.js'
import type { RequestBodies } from '../server/request-bodies.js'
import { ResponseRoom } from '../server/response-room.js'
import type { UnreadResponses } from '../server/unread-responses.js'
import { largestBytesOfKeys, withJsonBody } from './body.js'
import { type ChangeFeedOptions, setChangeFeed } from './changes/change-feed-header.js'
import type { Endpoint } from './endpoint.js'
import { type EntriesRequest, entriesRequest } from './entries-request.js'
import { sendEntries } from './entries-response.js'
import { getEntriesOperation } from './operations/entries-operations.js'
import { RequestError, sendProblem } from './problem.js'
import { parseQuery } from './query.js'
import { readConditions } from './read-request.js'

export interface EntriesEndpointOptions extends ChangeFeedOptions {
  readonly cache: Cache
  readonly bodies: RequestBodies
  readonly responses: UnreadResponses
}

/** Bytes that an entry takes in a response besides its key and its value. */
const bytesAroundEntry = 64

/** Returns the endpoint that reads several entries in one request. */
export function entriesEndpoint(options: EntriesEndpointOptions): Endpoint {
  const { bodies } = options
  const maxBytes = Math.min(largestBytesOfKeys, bodies.largestBytes)
  return {
    method: 'post',
    path: '/v1/entries:get',
    listedQuery: '',
    operation: getEntriesOperation,
    handle: (ctx) => {
      checkQuery(ctx)
      return withJsonBody(ctx, { maxBytes, bodies }, (bytes) =>
        withRoom(options, (room) => getEntries(ctx, entriesRequest(bytes), options, room)),
      )
    },
  }
}

/** Throws 422 for what other reads have in the query: if it were ignored, a read could be weaker than it was meant. */
function checkQuery(ctx: Context): void {
  const given = parseQuery(ctx.querystring, ['key', 'keys', 'consistency', 'token'])
  const [name] = Object.keys(given)
  if (name === 'token') throw new RequestError(422, 'token: belongs in the header Cache-Token')
  if (name !== undefined) throw new RequestError(422, `${name}: belongs in the body`)
}

/** Calls `use` with room for a response, which is released if it throws. */
async function withRoom(
  { responses }: EntriesEndpointOptions,
  use: (room: ResponseRoom) => Promise<void>,
): Promise<void> {
  const room = new ResponseRoom(responses)
  try {
    await use(room)
  } catch (error) {
    room.release()
    throw error
  }
}

async function getEntries(
  ctx: Context,
  { keys, consistency }: EntriesRequest,
  endpoint: EntriesEndpointOptions,
  room: ResponseRoom,
): Promise<void> {
  const { cache } = endpoint
  const { options, onlyIfCached } = readConditions(ctx, { consistency })
  const admit = (read: ReadResult | undefined) => room.take(read?.value?.length ?? 0)
  room.take(keys.reduce((bytes, key) => bytes + key.length + bytesAroundEntry, 0))
  const send = (reads: readonly ReadResult[]) => {
    setChangeFeed(ctx, keys, reads, endpoint)
    sendEntries(ctx, keys, reads, room)
  }
  if (!onlyIfCached) return send(await cache.getMany(keys, options, admit))
  const recalled = keys.map((key) => cache.recall(key, options)).filter((read) => read !== undefined)
  for (const read of recalled) admit(read)
  if (recalled.length === keys.length) return send(recalled)
  room.release()
  sendProblem(ctx, { status: 504, detail: 'Not all in memory, and only-if-cached' })
}
