import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import t from 'tap'
import { accessGuard } from '../../../../src/http/access/access-guard.js'
import { BearerToken } from '../../../../src/http/access/bearer-token.js'
import { problemResponse } from '../../../../src/http/routes/problem.js'
import { RequestStats } from '../../../../src/telemetry/request-stats.js'
import { recordingLog } from '../../../support/recording-log.js'

const token = new BearerToken({ read: async () => 'secret', rereadMs: undefined, log: recordingLog().log })
await token.start()

interface Asked {
  readonly url?: string
  readonly authorization?: readonly string[]
  /** Bytes that the connection has carried before. */
  readonly bytesWritten?: number
}

/** Sends requests to a guard, which refuses those for `/misdirected`. Returns how each was answered. */
function guarded(options: { readonly token?: BearerToken } = {}) {
  const requests = new RequestStats()
  const turnedAway: number[] = []
  let letIn = 0
  const listener: RequestListener = () => letIn++
  const guard = accessGuard({
    hostCheck: ({ url }) =>
      url === '/misdirected' ? problemResponse({ status: 421, detail: 'elsewhere' }) : undefined,
    token: options.token,
    requests,
    onTurnedAway: (status) => turnedAway.push(status),
    listener,
  })
  const ask = ({ url = '/', authorization = [], bytesWritten = 0 }: Asked = {}) => {
    const before = letIn
    const answer: { status?: number; body?: string } = {}
    const response = {
      shouldKeepAlive: true,
      writeHead: (status: number) => {
        answer.status = status
        return response
      },
      end: (body: string) => {
        answer.body = body
      },
    }
    const rawHeaders = authorization.flatMap((value) => ['Authorization', value])
    const request = { url, method: 'GET', rawHeaders, socket: { bytesWritten } }
    guard(request as unknown as IncomingMessage, response as unknown as ServerResponse)
    const detail = answer.body === undefined ? undefined : JSON.parse(answer.body).detail
    return { isLetIn: letIn > before, status: answer.status, detail, staysOpen: response.shouldKeepAlive }
  }
  const counted = () =>
    [...requests.tallies()]
      .filter(({ count }) => count > 0)
      .map(({ route, outcome, count }) => `${route} ${outcome}: ${count}`)
  return { ask, turnedAway, counted }
}

const letIn = { isLetIn: true, status: undefined, detail: undefined, staysOpen: true }

t.test(
  'a connection whose first request is refused is closed, and one that was answered before stays',
  async (t) => {
    const { ask, turnedAway, counted } = guarded({ token })
    const refused = { isLetIn: false, status: 401, detail: 'Authorization: expected Bearer and the token' }
    t.strictSame(ask(), { ...refused, staysOpen: false })
    t.strictSame(ask({ url: '/misdirected' }), {
      ...{ isLetIn: false, status: 421, detail: 'elsewhere', staysOpen: false },
    })
    t.strictSame(turnedAway, [401, 421])
    t.strictSame(ask({ bytesWritten: 1 }), { ...refused, staysOpen: true })
    t.strictSame(turnedAway, [401, 421])
    t.strictSame(counted(), ['other refused: 3'])
  },
)

t.test('a token that is given twice is a mistake, for which nobody is turned away', async (t) => {
  const { ask, turnedAway, counted } = guarded({ token })
  t.strictSame(ask({ authorization: ['Bearer secret', 'Bearer secret'] }), {
    ...{ isLetIn: false, status: 400, detail: 'Authorization: given more than once', staysOpen: true },
  })
  t.strictSame(turnedAway, [])
  t.strictSame(counted(), ['other refused: 1'])
})

t.test('the token, or the path of old probes, lets a request in', async (t) => {
  const { ask, counted } = guarded({ token })
  t.strictSame(ask({ authorization: ['Bearer secret'] }), letIn)
  t.strictSame(ask({ url: '/health' }), letIn)
  for (const url of ['/health?a', '/healthz', '/']) t.equal(ask({ url }).status, 401, url)
  t.strictSame(guarded().ask({ authorization: ['Bearer other', 'Bearer another'] }), letIn, 'none is needed')
  t.strictSame(counted(), ['other refused: 3'])
})
