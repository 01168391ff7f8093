import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { RequestStats } from '../../telemetry/request-stats.js'
import { problemResponse } from '../routes/problem.js'
import { type PlainResponse, sendDirectly } from '../routes/response.js'
import type { HostCheck } from './allowed-hosts.js'
import type { BearerToken } from './bearer-token.js'
import { headerOf, isRepeated } from './raw-headers.js'

export interface AccessGuardOptions {
  readonly hostCheck: HostCheck
  /** Token that every request must carry; undefined if none is required. */
  readonly token: BearerToken | undefined
  /** Statistics that count refused requests; undefined to leave them out. */
  readonly requests: RequestStats | undefined
  /** Called with the status when a connection is closed because the first request on it was refused. */
  readonly onTurnedAway: (status: number) => void
  /** Answers the requests that are let in. */
  readonly listener: RequestListener
}

const noToken = problemResponse(
  { status: 401, detail: 'Authorization: expected Bearer and the token', kind: 'no-token' },
  ['WWW-Authenticate', 'Bearer'],
)

const twoTokens = problemResponse({ status: 400, detail: 'Authorization: given more than once' })

/** Refuses requests without the token, and requests for another host, before they reach the fast lane. */
export function accessGuard(options: AccessGuardOptions): RequestListener {
  const { hostCheck, token, requests, onTurnedAway, listener } = options
  const refuse = (request: IncomingMessage, response: ServerResponse, answer: PlainResponse) => {
    // An unauthorized client must not hold a connection that others could use. One that got a response on it before may
    // go on.
    if (answer.status !== 400 && request.socket.bytesWritten === 0) {
      response.shouldKeepAlive = false
      onTurnedAway(answer.status)
    }
    sendDirectly(response, answer)
    requests?.tally('other', answer.status).add(0)
  }
  return (request, response) => {
    const misdirected = hostCheck(request)
    if (misdirected) return refuse(request, response, misdirected)
    // GET /health needs no token: older probes ask it whether the process runs, and have no secret.
    if (token && request.url !== '/health') {
      const { rawHeaders } = request
      if (isRepeated(rawHeaders, 'authorization')) return refuse(request, response, twoTokens)
      if (!token.isIn(headerOf(rawHeaders, 'authorization'))) return refuse(request, response, noToken)
    }
    listener(request, response)
  }
}
