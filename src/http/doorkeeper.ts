import type { IncomingMessage, RequestListener } from 'node:http'
import type { HostCheck } from './allowed-hosts.js'
import { sendDirectly } from './answer.js'
import type { BearerToken } from './bearer-token.js'
import { type Problem, problemAnswer } from './problem.js'
import { headerOf } from './raw-headers.js'
import type { RequestStats } from './request-stats.js'

export interface DoorkeeperOptions {
  /** Undefined: by any name. */
  readonly isMeantForUs: HostCheck | undefined
  /** Undefined: nobody has to know one. */
  readonly token: BearerToken | undefined
  readonly requests: RequestStats
  /** Answers who is let in. */
  readonly listener: RequestListener
}

/** Turns away who may not ask, in front of the fast lane. What is not asked for costs nothing. */
export function doorkeeper({ isMeantForUs, token, requests, listener }: DoorkeeperOptions): RequestListener {
  const refusing =
    (check: (request: IncomingMessage) => boolean, problem: Problem, headers: readonly string[] = []) =>
    (next: RequestListener): RequestListener => {
      const answer = problemAnswer(problem, headers)
      return (request, response) => {
        if (check(request)) return next(request, response)
        sendDirectly(response, answer)
        requests.tally('other', answer.status).add(0)
      }
    }
  const withToken =
    token &&
    refusing(
      // Who only asks whether the process runs has no secret: probes of old.
      ({ url, rawHeaders }) => url === '/health' || token.isIn(headerOf(rawHeaders, 'authorization')),
      { status: 401, detail: 'Authorization: Bearer and the token are needed' },
      ['WWW-Authenticate', 'Bearer'],
    )
  const withHost =
    isMeantForUs &&
    // 421 and not 403: it is the name that is wrong, whoever asks.
    refusing(({ rawHeaders }) => isMeantForUs(rawHeaders), {
      status: 421,
      detail: 'Host: no name of this service; ask by address, or add the name to CACHE_ALLOWED_HOSTS',
    })
  const authorized = withToken ? withToken(listener) : listener
  return withHost ? withHost(authorized) : authorized
}
