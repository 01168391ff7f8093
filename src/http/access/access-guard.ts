import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { RequestStats } from '../../telemetry/request-stats.js'
import { problemResponse } from '../routes/problem.js'
import { type PlainResponse, sendDirectly } from '../routes/response.js'
import type { HostCheck } from './allowed-hosts.js'
import type { BearerToken } from './bearer-token.js'
import { headerOf } from './raw-headers.js'

export interface AccessGuardOptions {
  readonly hostCheck: HostCheck
  /** Undefined: nobody has to know one. */
  readonly token: BearerToken | undefined
  /** Undefined: refused requests are not counted. */
  readonly requests: RequestStats | undefined
  /** Called with the status when a connection is closed, because the first request on it was refused. */
  readonly onTurnedAway: (status: number) => void
  /** Answers who is let in. */
  readonly listener: RequestListener
}

const noToken = problemResponse({ status: 401, detail: 'Authorization: Bearer and the token are needed' }, [
  'WWW-Authenticate',
  'Bearer',
])

/** Turns away who may not ask, in front of the fast lane. What is not asked for costs nothing. */
export function accessGuard(options: AccessGuardOptions): RequestListener {
  const { hostCheck, token, requests, onTurnedAway, listener } = options
  const refuse = (request: IncomingMessage, response: ServerResponse, answer: PlainResponse) => {
    // Who may not ask and keeps the connection takes it from others. A client that was answered before may go on.
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
    // Who only asks whether the process runs has no secret: probes of old.
    if (token && request.url !== '/health' && !token.isIn(headerOf(request.rawHeaders, 'authorization')))
      return refuse(request, response, noToken)
    listener(request, response)
  }
}
