import type { IncomingMessage, ServerResponse } from 'node:http'
import { problemResponse } from '../../routes/problem.js'
import { type PlainResponse, sendDirectly } from '../../routes/response.js'
import type { LivePage } from './live-page.js'
import { pageFile } from './page-files.js'

const base = '/ui/'
/** Relative, so that it holds behind a proxy that puts a prefix before the path. */
const toBase: PlainResponse = {
  status: 308,
  headers: ['Location', 'ui/', 'Cache-Control', 'no-store', 'Content-Type', 'text/plain; charset=utf-8'],
  body: 'The page is at ui/\n',
}
const tooManyPages = problemResponse({
  status: 503,
  detail: 'Too many pages are open at this sidecar',
  retryAfterSeconds: 5,
})

/** Returns true if the path belongs to the page. */
export function isOfPage(path: string): boolean {
  return path === '/ui' || path.startsWith(base)
}

/** Answers GET and HEAD of a path of the page. Rejects if the page has not been built. */
export async function answerPage(
  page: LivePage,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  if (path === '/ui') return sendDirectly(response, toBase)
  const name = path.slice(base.length)
  if (name === 'stream' && request.method === 'GET') {
    if (page.isFull) return sendDirectly(response, tooManyPages)
    return page.open(request, response)
  }
  const file = await pageFile(name)
  sendDirectly(response, file ?? problemResponse({ status: 404, detail: 'Not Found', kind: 'no-route' }))
}
