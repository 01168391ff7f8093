import { readFile } from 'node:fs/promises'
import { type IncomingMessage, request, type ServerResponse } from 'node:http'

/** Folder that `npm run build` writes the page to, seen from `src/` and from `dist/`. */
const folder = new URL('../../dist/ui/', import.meta.url)

const files: ReadonlyMap<string, { readonly name: string; readonly contentType: string }> = new Map([
  ['/', { name: 'try/index.html', contentType: 'text/html; charset=utf-8' }],
  ['/try.js', { name: 'try/try.js', contentType: 'text/javascript; charset=utf-8' }],
  ['/page.css', { name: 'page.css', contentType: 'text/css; charset=utf-8' }],
  ['/icon.svg', { name: 'icon.svg', contentType: 'image/svg+xml' }],
])

const headers = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
}

export interface TryPageOptions {
  /** Addresses of the data listener and of the page of each sidecar. */
  readonly sidecars: readonly { readonly data: string; readonly page: string }[]
  /** API token of the sidecars; undefined if they have none. */
  readonly token?: string | undefined
  readonly isSample: boolean
}

/** Requests of the page that sidecars answer. Their listeners do not answer pages of another origin, so this server asks them. */
const forwarded = /^\/sidecars\/(\d)(\/cache\/(?:get|set|stats)(?:\?.*)?)$/

/** Answers a request of the page to try the two sidecars. Returns false if it is none. */
export async function answerTryPage(
  options: TryPageOptions,
  asked: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const { url = '', method } = asked
  const [, index, path] = forwarded.exec(url) ?? []
  const sidecar = options.sidecars[Number(index)]
  if (sidecar !== undefined && path !== undefined) {
    forward(asked, response, `${sidecar.data}${path}`, options.token)
    return true
  }
  if (method !== 'GET') return false
  if (url === '/dev.json') {
    const { sidecars, isSample } = options
    const shown = JSON.stringify({ sidecars, isSample })
    response.writeHead(200, { ...headers, 'Content-Type': 'application/json' }).end(shown)
    return true
  }
  const file = files.get(url)
  if (file === undefined) return false
  const body = await readFile(new URL(file.name, folder))
  response.writeHead(200, { ...headers, 'Content-Type': file.contentType }).end(body)
  return true
}

function forward(
  asked: IncomingMessage,
  response: ServerResponse,
  url: string,
  token: string | undefined,
): void {
  const { method, headers: given } = asked
  const type = given['content-type']
  const sent = request(url, {
    method,
    headers: {
      ...(type !== undefined && { 'Content-Type': type }),
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    },
  })
  sent.on('response', (answer) => {
    response.writeHead(answer.statusCode as number, {
      ...headers,
      'Content-Type': answer.headers['content-type'],
    })
    answer.pipe(response)
  })
  sent.on('error', ({ message: detail }) => {
    response.writeHead(502, { 'Content-Type': 'application/json' }).end(JSON.stringify({ detail }))
  })
  asked.pipe(sent)
}
