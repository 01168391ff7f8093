import { createHash } from 'node:crypto'
import type { Endpoint } from '../endpoint.js'
import { openApiOperation } from '../operations/service-operations.js'
import { openApiDocument } from './document.js'

/** Returns the endpoint that describes all endpoints. The description is made at the first request for it. */
export function openApiEndpoint(endpoints: () => readonly Endpoint[], version: string): Endpoint {
  let text: string | undefined
  let tag = ''
  return {
    method: 'get',
    path: '/openapi.json',
    listedQuery: '',
    operation: openApiOperation,
    handle: (ctx) => {
      if (text === undefined) {
        text = JSON.stringify(openApiDocument(endpoints(), version))
        tag = createHash('sha256').update(text).digest('base64url')
      }
      ctx.set('ETag', `"${tag}"`)
      ctx.set('Cache-Control', 'no-cache')
      ctx.status = 200
      if (ctx.fresh) ctx.status = 304
      else {
        ctx.type = 'application/json; charset=utf-8'
        ctx.body = text
      }
    },
  }
}
