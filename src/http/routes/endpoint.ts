import type { Context } from 'koa'
import type { Operation } from './openapi/operation.js'

/**
 * One endpoint of the data listener. The router, the list in `GET /`, the names of spans and the OpenAPI
 * document are made from these.
 */
export interface Endpoint {
  readonly method: 'get' | 'post' | 'put' | 'delete'
  /** Path, or a template of several paths, which `pattern` describes. */
  readonly path: string
  readonly pattern?: RegExp
  /** Query that `GET /` shows after the path; undefined for an endpoint that it does not list. */
  readonly listedQuery?: string
  /** Description for the OpenAPI document. */
  readonly operation: Operation
  readonly handle: (ctx: Context) => void | Promise<void>
}

/** Returns the endpoints that `GET /` lists, such as `GET /cache/get?key=`. */
export function listOf(endpoints: readonly Endpoint[]): string[] {
  return endpoints.flatMap(({ method, path, listedQuery }) =>
    listedQuery === undefined ? [] : `${method.toUpperCase()} ${path}${listedQuery}`,
  )
}
