import type { Context } from 'koa'
import type { RequestBodies } from '../../server/request-bodies.js'
import { noRoom } from '../../server/unread-responses.js'
import { withJsonBody } from '../body.js'
import { departure } from '../departure.js'
import type { Endpoint } from '../endpoint.js'
import { requireOnce } from '../header-checks.js'
import { changesOperation, proveOperation } from '../operations/changes-operations.js'
import { RequestError, sendProblem } from '../problem.js'
import type { ChangeStreams } from './change-streams.js'
import { changesPrefix, maxProveBytes, proveRequest } from './changes-request.js'
import { eventStreamHeaders } from './event-texts.js'

export interface ChangesEndpointsOptions {
  readonly changeStreams: ChangeStreams
  readonly bodies: RequestBodies
}

/** Returns the endpoints for clients that follow the changes. */
export function changesEndpoints({ changeStreams, bodies }: ChangesEndpointsOptions): readonly Endpoint[] {
  return [
    {
      method: 'get',
      path: '/v1/changes',
      listedQuery: '?prefix=',
      operation: changesOperation,
      handle: (ctx) => follow(ctx, changeStreams),
    },
    {
      method: 'post',
      path: '/v1/changes:prove',
      listedQuery: '',
      operation: proveOperation,
      handle: (ctx) =>
        withJsonBody(ctx, { maxBytes: maxProveBytes, bodies }, async (bytes) => {
          const { stream, question } = proveRequest(bytes)
          if (changeStreams.ask(stream, question)) ctx.status = 204
          else
            sendProblem(ctx, { status: 404, detail: 'stream: not open at this sidecar', kind: 'no-stream' })
        }),
    },
  ]
}

async function follow(ctx: Context, changeStreams: ChangeStreams): Promise<void> {
  const prefix = changesPrefix(ctx.querystring)
  requireOnce(ctx, 'Last-Event-ID')
  ctx.status = 200
  ctx.set(eventStreamHeaders)
  if (ctx.method === 'HEAD') return
  // The parser goes on first: if the request is malformed, the response is a problem, and not a stream that is cut.
  await undefined
  if (ctx.socket.destroyed) return
  const lastEventId = ctx.get('Last-Event-ID') || undefined
  if (!changeStreams.open(ctx.res, { prefix, lastEventId, signal: departure(ctx) }))
    throw new RequestError(noRoom.status, 'No memory is left for another stream of changes')
  ctx.respond = false
}
