import type { Context } from 'koa'

export interface ServicePageOptions {
  readonly version: string
  /** Port of the operations listener, which has the page about this sidecar; undefined if there is none. */
  readonly pagePort: number | undefined
}

/** Returns true if a person asks, by a browser: programs that want JSON do not name HTML. */
export function wantsHtml(ctx: Context): boolean {
  return ctx.get('Accept').includes('text/html')
}

/** Sends a short text for a person who opens the address of the data listener in a browser. */
export function sendServicePage(ctx: Context, { version, pagePort }: ServicePageOptions): void {
  const page =
    pagePort === undefined
      ? ''
      : `<p><a href="http://${escaped(ctx.hostname)}:${pagePort}/ui/">Look at this sidecar</a>: its state, its ` +
        'figures and the last changes.</p>'
  ctx.set({ 'Cache-Control': 'no-store', 'Content-Security-Policy': "default-src 'none'", Vary: 'Accept' })
  ctx.type = 'html'
  ctx.body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>caching-layer</title>
<h1>caching-layer</h1>
<p>This is a cache for applications that store their data in PostgreSQL, version ${escaped(version)}. Programs talk to
it here, in JSON.</p>
${page}
<ul>
<li><a href="health">Health</a></li>
<li><a href="cache/stats">Statistics</a></li>
<li><a href="openapi.json">All endpoints, as an OpenAPI document</a></li>
</ul>
</html>
`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
