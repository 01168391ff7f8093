import type { Context } from 'koa'

/**
 * Whether a web page of somebody's sent it. Browsers say so with every POST, and let a page send some of them without
 * asking first whether it may: those without a Content-Type (a Blob that has none), and those without a body.
 */
export function comesFromWebPage(ctx: Context): boolean {
  return ctx.get('Origin') !== ''
}
