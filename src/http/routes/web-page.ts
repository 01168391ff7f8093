import type { Context } from 'koa'

/**
 * Returns true if a web page sent the request. Browsers say so with every POST (`Origin`), and they let a page send
 * some POSTs without a preflight: those without a Content-Type (a Blob that has none), and those without a body.
 */
export function comesFromWebPage(ctx: Context): boolean {
  return ctx.get('Origin') !== ''
}
