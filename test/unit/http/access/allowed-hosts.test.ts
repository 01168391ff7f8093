import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { allowedHosts } from '../../../../src/http/access/allowed-hosts.js'

interface Given {
  readonly hosts?: readonly string[]
  readonly url?: string
  readonly httpVersion?: string
}

function requestWith({ hosts = [], url = '/', httpVersion = '1.1' }: Given) {
  const rawHeaders = ['Accept', '*/*', ...hosts.flatMap((host) => ['hOST', host]), 'From', 'evil.example']
  return { rawHeaders, url, httpVersion } as unknown as IncomingMessage
}

/** Returns the status and the detail of a refusal; undefined if the request is let in. */
function refusalOf(check: ReturnType<typeof allowedHosts>, given: Given) {
  const refusal = check(requestWith(given))
  if (refusal === undefined) return undefined
  const { type, detail } = JSON.parse(String(refusal.body)) as { type: string; detail: string }
  return [refusal.status, type.replace(/^.*#/, ''), detail]
}

const foreign = [
  421,
  'unknown-host',
  'Host: not a name of this service; use its IP address, or add the name to CACHE_ALLOWED_HOSTS',
]

t.test('IP addresses and the given names are let in, in any form', async (t) => {
  const check = allowedHosts(['localhost', 'Cache.Example'])
  for (const host of [
    ...['localhost', 'LOCALHOST:8025', 'localhost.', 'cache.example', 'CACHE.example.:1'],
    ...['127.0.0.1', '10.1.2.3:8025', '[::1]', '[2001:db8::1]:8025'],
  ])
    t.equal(refusalOf(check, { hosts: [host] }), undefined, host)
})

t.test('other names are refused, before and after one that is let in', async (t) => {
  const check = allowedHosts(['localhost'])
  for (const host of [
    ...['evil.example', 'evil.example:8025', 'localhost.evil.example', 'localhost@evil.example'],
    ...['localhost..', '::1', '[localhost]x', 'localhost:x', ''],
  ]) {
    t.strictSame(refusalOf(check, { hosts: [host] }), foreign, host)
    t.equal(refusalOf(check, { hosts: ['localhost'] }), undefined)
    t.strictSame(refusalOf(check, { hosts: [host] }), foreign, host)
  }
})

t.test('with *, any name is let in', async (t) => {
  t.equal(refusalOf(allowedHosts(['localhost', '*']), { hosts: ['any.example'] }), undefined)
  t.strictSame(refusalOf(allowedHosts(['*.example']), { hosts: ['any.example'] }), foreign)
})

t.test('a request has one Host, unless it is of HTTP/1.0', async (t) => {
  const check = allowedHosts(['localhost'])
  t.strictSame(refusalOf(check, {}), [400, 'invalid-request', 'Host: missing'])
  t.equal(refusalOf(check, { httpVersion: '1.0' }), undefined)
  t.strictSame(refusalOf(check, { hosts: ['evil.example'], httpVersion: '1.0' }), foreign)
  t.equal(refusalOf(check, { hosts: ['localhost'] }), undefined)
  t.equal(refusalOf(check, { httpVersion: '1.0' }), undefined, 'after one with a Host, too')
  t.strictSame(refusalOf(check, { hosts: ['localhost', 'localhost'] }), [
    400,
    'invalid-request',
    'Host: given more than once',
  ])
})

t.test('the host of a target in absolute form counts, and is taken off it', async (t) => {
  const check = allowedHosts(['localhost'])
  for (const [url, originForm] of [
    ['http://localhost:1/a?b=c', '/a?b=c'],
    ['HTTPS://localhost', '/'],
    ['http://localhost?b', '/?b'],
  ] as const) {
    const request = requestWith({ hosts: ['evil.example'], url })
    t.equal(check(request), undefined, url)
    t.equal(request.url, originForm)
  }
  t.strictSame(refusalOf(check, { hosts: ['localhost'], url: 'http://evil.example/' }), foreign)
  for (const url of ['localhost', 'ftp://localhost/', 'http:///a', 'http://a:b:c/', ''])
    t.strictSame(
      refusalOf(check, { hosts: ['localhost'], url }),
      [400, 'invalid-request', 'URL: neither a path nor an absolute HTTP URL'],
      url,
    )
  t.equal(refusalOf(check, { hosts: ['localhost'], url: '*' }), undefined, 'OPTIONS *')
})
