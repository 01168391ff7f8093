import type { Context } from 'koa'

/** Returns the path of the endpoint that handles a request; `other` for paths that clients make up. */
export function routeOf(ctx: Context): string {
  return ctx._matchedRouteName ?? 'other'
}
