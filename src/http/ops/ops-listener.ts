import type { RequestListener } from 'node:http'
import type { Clock } from '../../core/ports.js'
import type { Readiness } from '../../core/state/readiness.js'
import type { CacheStatus } from '../../core/status.js'
import { type ProblemLog, problemIn, problemResponse } from '../routes/problem.js'
import { type PlainResponse, sendDirectly } from '../routes/response.js'
import { answerPage, isOfPage, methodsOfPage, type Page } from './page/page-routes.js'
import { Scrapes } from './scrapes.js'

export interface OpsListenerOptions {
  readonly status: () => CacheStatus
  readonly readiness: () => Readiness
  /** Returns true once the data listener has been opened. */
  readonly isStarted: () => boolean
  readonly metrics: () => Promise<Exposition>
  /** The page for browsers; undefined if there is none. */
  readonly page?: Page | undefined
  readonly clock: Clock
  readonly log: ProblemLog
}

export interface Exposition {
  readonly contentType: string
  text(): Promise<string>
}

const readMethods = ['GET', 'HEAD']

type Route = (query: string) => PlainResponse | Promise<PlainResponse>

/**
 * Answers Kubernetes probes, Prometheus scrapes and browsers. The listener is open to the whole pod network, so only
 * the page reads entries, and writes them if that is turned on, for clients that may do so on the data listener. Probes
 * and scrapes never wait for the database, so that a hanging database does not look like a hanging process.
 */
export function opsListener(options: OpsListenerOptions): RequestListener {
  const scrapes = new Scrapes(options.clock, () => exposed(options))
  const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
    ['/livez', () => json(200, { status: 'alive' })],
    [
      '/startupz',
      () => (options.isStarted() ? json(200, { status: 'started' }) : json(503, { status: 'starting' })),
    ],
    ['/readyz', (query) => ready(options, new URLSearchParams(query).has('verbose'))],
    ['/metrics', () => scrapes.answer()],
  ])
  const { page } = options
  return async (request, response) => {
    const { method, url = '' } = request
    const [path = '', ...afterPath] = url.split('?')
    const query = afterPath.join('?')
    const route = routes.get(path)
    const shownPage = isOfPage(path) ? page : undefined
    if (route === undefined && shownPage === undefined)
      return sendDirectly(response, problemResponse({ status: 404, detail: 'Not Found', kind: 'no-route' }))
    const methods = shownPage ? methodsOfPage(shownPage, path) : readMethods
    if (!methods.includes(method ?? '')) {
      return sendDirectly(
        response,
        problemResponse({ status: 405, detail: 'Method Not Allowed', kind: 'wrong-method' }, [
          'Allow',
          methods.join(', '),
        ]),
      )
    }
    try {
      if (route) sendDirectly(response, await route(query))
      else if (shownPage) await answerPage(shownPage, request, response, { path, query })
    } catch (error) {
      sendDirectly(response, problemResponse(problemIn(error, path, options.log)))
    }
  }
}

function ready({ status, readiness }: OpsListenerOptions, isVerbose: boolean): PlainResponse {
  const { status: verdict, reasons } = readiness()
  const { feed, leaseAgeMs, pendingWrites } = status()
  return json(verdict === 'unready' ? 503 : 200, {
    status: verdict,
    ...(isVerbose && {
      reasons: reasons.map(({ text }) => text),
      feed,
      lease_age_ms: Number.isFinite(leaseAgeMs) ? Math.round(leaseAgeMs) : null,
      pending_writes: pendingWrites,
    }),
  })
}

async function exposed({ metrics }: OpsListenerOptions): Promise<PlainResponse> {
  const exposition = await metrics()
  return answer(200, exposition.contentType, await exposition.text())
}

function json(status: number, body: object): PlainResponse {
  return answer(status, 'application/json; charset=utf-8', JSON.stringify(body))
}

function answer(status: number, contentType: string, body: string): PlainResponse {
  return { status, headers: ['Content-Type', contentType, 'Cache-Control', 'no-store'], body }
}
