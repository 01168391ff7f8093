import t from 'tap'
import { noRoomForHeaders } from '../../../src/http/server/large-headers.js'
import { parserProblem } from '../../../src/http/server/parser-problem.js'

/** Returns status, kind of problem, and whether the connection is closed. */
function shown(response: string) {
  const [head = '', body = ''] = response.split('\r\n\r\n')
  const { status, type } = JSON.parse(body)
  return {
    line: head.split('\r\n')[0],
    status,
    kind: String(type).replace(/^.*#/, ''),
    isClosed: /^Connection: close$/im.test(head),
    length: Number(/^Content-Length: (\d+)$/im.exec(head)?.[1]) === Buffer.byteLength(body),
  }
}

const refusals = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'headers-too-large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['413 Payload Too Large', 'body-too-large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'slow-request'],
  HPE_INVALID_METHOD: ['400 Bad Request', 'invalid-request'],
} as const

for (const [code, [line, kind]] of Object.entries(refusals)) {
  t.test(`${code} is answered with its kind of problem`, async (t) => {
    t.strictSame(shown(parserProblem(Object.assign(new Error('refused'), { code }))), {
      line: `HTTP/1.1 ${line}`,
      status: Number(line.slice(0, 3)),
      kind,
      isClosed: true,
      length: true,
    })
  })
}

t.test('a request without room for its headers may come again after a second', async (t) => {
  const { status, headers } = noRoomForHeaders
  t.equal(status, 503)
  t.equal(headers[headers.indexOf('Retry-After') + 1], '1')
})
