import t from 'tap'
import { Requests } from '../../../src/tools/load/requests.js'

const textOf = (requests: Requests, operation: 'get' | 'set' | 'del') =>
  requests.make(operation, 7).bytes.toString()

t.test('each operation has its request', async (t) => {
  const requests = new Requests({ valueBytes: 5, host: '127.0.0.1:8025', token: 'secret' })
  const common = 'HTTP/1.1\r\nHost: 127.0.0.1:8025\r\nAuthorization: Bearer secret\r\n'
  t.equal(textOf(requests, 'get'), `GET /cache/get?key=caching-layer-bench:7 ${common}\r\n`)
  t.equal(textOf(requests, 'del'), `DELETE /cache/delete?key=caching-layer-bench:7 ${common}\r\n`)
  const body = (value: string) => `{"key":"caching-layer-bench:7","value":"${value}"}`
  for (const value of ['1 xxx', '2 xxx'])
    t.equal(
      textOf(requests, 'set'),
      `POST /cache/set ${common}Content-Type: application/json\r\n` +
        `Content-Length: ${body(value).length}\r\n\r\n${body(value)}`,
    )
})

t.test('without a token there is no header for it, and a short value has no counter', async (t) => {
  const requests = new Requests({ valueBytes: 1, host: 'h', token: undefined })
  t.notMatch(textOf(requests, 'get'), 'Authorization')
  t.match(textOf(requests, 'set'), /"value":"1"}$/)
})

t.test('requests are drawn by the weights and the choice of keys', async (t) => {
  const requests = new Requests({ valueBytes: 1, host: 'h', token: undefined })
  const draw = requests.drawn(new Map([['del', 1]]), { count: 1, exponent: 0 }, () => 0.5)
  const { operation, bytes } = draw()
  t.equal(operation, 'del')
  t.match(bytes.toString(), 'caching-layer-bench:1 ')
})
