import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BearerToken } from '../../access/bearer-token.js'
import { problemResponse } from '../../routes/problem.js'
import { type PlainResponse, sendDirectly } from '../../routes/response.js'
import type { LivePage } from './live-page.js'
import { pageFile } from './page-files.js'
import type { PageViews } from './views/page-views.js'
import { refusalOfView } from './views/view-access.js'
import type { PageWrites } from './writes/page-writes.js'
import { refusalOfWrite } from './writes/write-access.js'

const base = '/ui/'
/** Paths that are redirected to the page: what people enter first, and the page's own without its last character. */
const redirected: readonly string[] = ['/', '/ui']
/**
 * Relative, so that it holds behind a proxy that puts a prefix before the path. Temporary, because browsers remember a
 * permanent redirect, also for a program that listens on the port later.
 */
const toBase: PlainResponse = {
  status: 307,
  headers: ['Location', 'ui/', 'Cache-Control', 'no-store', 'Content-Type', 'text/plain; charset=utf-8'],
  body: 'The page is at ui/\n',
}
const tooManyPages = problemResponse({
  status: 503,
  detail: 'Too many pages are open at this sidecar',
  retryAfterSeconds: 5,
})

/** The page: its live data, and its views. */
export interface Page {
  readonly live: LivePage
  readonly views: PageViews
  readonly token: BearerToken | undefined
  /** Undefined if nobody may change keys. */
  readonly writes: PageWrites | undefined
}

/** Returns true if the path belongs to the page. */
export function isOfPage(path: string): boolean {
  return redirected.includes(path) || path.startsWith(base)
}

/** Returns the methods of a path of the page. */
export function methodsOfPage({ writes }: Page, path: string): readonly string[] {
  return writes?.has(path.slice(base.length)) ? ['POST'] : ['GET', 'HEAD']
}

/**
 * Answers a request for a path of the page, with one of its methods. Rejects if the page has not been built, and with the errors of a view.
 */
export async function answerPage(
  { live, views, writes, token }: Page,
  request: IncomingMessage,
  response: ServerResponse,
  { path, query }: { readonly path: string; readonly query: string },
): Promise<void> {
  if (redirected.includes(path)) return sendDirectly(response, toBase)
  const name = path.slice(base.length)
  if (name === 'stream' && request.method === 'GET') {
    if (live.isFull) return sendDirectly(response, tooManyPages)
    return live.open(request, response)
  }
  if (writes?.has(name) && token) {
    const refusal = refusalOfWrite(request, token)
    if (refusal) return sendDirectly(response, refusal)
    return sendDirectly(response, json(await writes.write(name, request)))
  }
  if (views.has(name)) {
    const refusal = refusalOfView(request, token)
    if (refusal) return sendDirectly(response, refusal)
    return sendDirectly(response, json(await views.get(name, query)))
  }
  const file = await pageFile(name)
  sendDirectly(response, file ?? problemResponse({ status: 404, detail: 'Not Found', kind: 'no-route' }))
}

function json(body: object): PlainResponse {
  return {
    status: 200,
    headers: ['Content-Type', 'application/json; charset=utf-8', 'Cache-Control', 'no-store'],
    body: JSON.stringify(body),
  }
}
