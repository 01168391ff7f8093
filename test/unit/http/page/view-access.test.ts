import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { BearerToken } from '../../../../src/http/access/bearer-token.js'
import { refusalOfView } from '../../../../src/http/ops/page/views/view-access.js'
import { refusalOfWrite } from '../../../../src/http/ops/page/writes/write-access.js'
import type { PlainResponse } from '../../../../src/http/routes/response.js'
import { recordingLog } from '../../../support/recording-log.js'

const token = new BearerToken({ read: async () => 'secret', rereadMs: undefined, log: recordingLog().log })
await token.start()

const authorization = { Authorization: 'Bearer secret' }
const requestWith = (headers: Readonly<Record<string, string>>, remoteAddress = '127.0.0.1') =>
  ({ rawHeaders: Object.entries(headers).flat(), socket: { remoteAddress } }) as unknown as IncomingMessage

const viewed = (headers: Readonly<Record<string, string>>) => refusalOfView(requestWith(headers), undefined)
const written = (headers: Readonly<Record<string, string>>) =>
  refusalOfWrite(requestWith({ ...authorization, 'Content-Type': 'application/json', ...headers }), token)

const problemOf = (response: PlainResponse | undefined) => {
  const { status, type, detail } = JSON.parse(String(response?.body))
  return { answered: response?.status, status, kind: type.replace(/.*#/, ''), detail }
}
const crossSite = {
  answered: 403,
  status: 403,
  kind: 'web-page',
  detail: 'A page of another site may not ask for this',
}

t.test(
  'the page itself and a person who enters the address see a view, and other sites do not',
  async (t) => {
    for (const site of ['same-origin', 'none']) t.equal(viewed({ 'Sec-Fetch-Site': site }), undefined, site)
    for (const site of ['cross-site', 'same-site', ''])
      t.strictSame(problemOf(viewed({ 'Sec-Fetch-Site': site })), crossSite, site)
  },
)

t.test('a client that may not see a view learns what it lacks', async (t) => {
  t.strictSame(problemOf(refusalOfView(requestWith({}, '10.1.2.3'), undefined)), {
    answered: 403,
    status: 403,
    kind: 'not-local',
    detail: 'Without CACHE_API_TOKEN, this is shown only on the machine of the sidecar',
  })
  const refused = refusalOfView(requestWith({}), token)
  t.strictSame(problemOf(refused), {
    answered: 401,
    status: 401,
    kind: 'no-token',
    detail: 'Authorization: expected Bearer and the token',
  })
  t.match(refused?.headers.join(' '), /WWW-Authenticate Bearer/)
  t.equal(refusalOfView(requestWith(authorization, '10.1.2.3'), token), undefined)
})

t.test('a write is refused to a page of another origin before its token is looked at', async (t) => {
  const foreign = { Host: 'cache.example:9090', Origin: 'http://cache.example' }
  t.strictSame(problemOf(refusalOfWrite(requestWith(foreign), token)), crossSite, 'another port')
  for (const origin of ['http://cache.example:9090', 'HTTPS://Cache.Example:9090'])
    t.equal(written({ Host: 'CACHE.example:9090', Origin: origin }), undefined, origin)
  t.strictSame(problemOf(written({ Origin: 'http://cache.example' })), crossSite, 'no Host')
})

t.test('what a browser says of the site of a page counts more than its origin', async (t) => {
  const behindProxy = { Host: 'inside:9090', Origin: 'https://cache.example' }
  t.equal(written({ ...behindProxy, 'Sec-Fetch-Site': 'same-origin' }), undefined)
  const same = { Host: 'cache.example', Origin: 'https://cache.example' }
  for (const site of ['cross-site', 'same-site', 'none', ''])
    t.strictSame(problemOf(written({ ...same, 'Sec-Fetch-Site': site })), crossSite, site)
})

t.test('a write needs the token, on this machine as well', async (t) => {
  const json = { 'Content-Type': 'application/json' }
  for (const headers of [{}, { Authorization: 'Bearer wrong' }])
    t.match(problemOf(refusalOfWrite(requestWith({ ...json, ...headers }), token)), {
      answered: 401,
      kind: 'no-token',
    })
  t.equal(written({}), undefined)
})

t.test('a write has JSON in its body, whatever the case of its type and its parameters', async (t) => {
  for (const type of ['application/json', 'Application/JSON', 'application/json ;charset=utf-8'])
    t.equal(written({ 'Content-Type': type }), undefined, type)
  t.match(problemOf(refusalOfWrite(requestWith(authorization), token)), { answered: 415 })
  for (const type of ['text/application/json', 'application/jsonp', ''])
    t.strictSame(
      problemOf(written({ 'Content-Type': type })),
      {
        answered: 415,
        status: 415,
        kind: 'unsupported-body',
        detail: 'Content-Type must be application/json',
      },
      type,
    )
})
