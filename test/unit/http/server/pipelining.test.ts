import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { Pipelining } from '../../../../src/http/server/pipelining.js'
import { eventually } from '../../../support/eventually.js'
import { get, holdingServer, requestBytes, responsesOn } from '../../../support/holding-server.js'
import { turn } from '../../../support/turn.js'

t.test('a request begins after the response to the one before, and nothing is read meanwhile', async (t) => {
  const { until, end, send, begun, paths } = await holdingServer(t)
  const client = send(get('/1') + get('/2') + get('/3', 'Connection: close\r\n'))
  const responses = responsesOn(client)
  await until('/1')
  const socket = begun[0]?.request.socket
  t.strictSame([paths(), socket?.isPaused()], [['/1'], true])
  end('/1')
  await until('/2')
  t.strictSame([paths(), socket?.isPaused()], [['/1', '/2'], true], 'one still waits')
  end('/2')
  await until('/3')
  t.equal(socket?.isPaused(), false)
  end('/3')
  t.strictSame(await responses, ['200 /1', '200 /2', '200 /3'])
})

t.test('a client that sends more than may wait is held back, and gets every response', async (t) => {
  const [count, padding] = [400, `X-Padding: ${'x'.repeat(1_000)}\r\n`]
  const { until, begun, send, excess } = await holdingServer(t, 300)
  const requests = Array.from({ length: count }, (_, index) => get(`/${index}`, padding))
  const received = text(send(requests.join('') + get('/last', 'Connection: close\r\n'))).catch(
    () => 'cut off',
  )
  await until('/0')
  let next = 0
  await eventually(
    () => {
      for (; next < begun.length; next++) begun[next]?.response.end('!')
      return next > count || excess().excess > 0
    },
    { everyMs: 0 },
  )
  t.strictSame(excess(), { excess: 0, closed: 0 })
  t.equal((await received).split('HTTP/1.1 200').length - 1, count + 1)
})

t.test('so many requests may wait as there is room for, on all connections together', async (t) => {
  const { until, end, send, excess } = await holdingServer(t)
  const first = send(get('/1') + get('/2') + get('/3'))
  await until('/1')
  const second = send(get('/4') + get('/5'))
  await until('/4')
  t.strictSame(excess(), { excess: 0, closed: 0 }, 'full')
  const third = send(get('/6') + get('/7') + get('/8'))
  await once(third, 'close')
  t.strictSame(excess(), { excess: 1, closed: 1 }, 'one too many')

  end('/1')
  await until('/2')
  const fourth = send(get('/a') + get('/b'))
  await until('/a')
  t.strictSame(excess(), { excess: 1, closed: 1 }, 'a request that has begun waits no more')
  for (const client of [first, second, fourth]) client.destroy()
})

t.test('requests of a connection that is gone take no room, and do not begin', async (t) => {
  const { until, end, send, begun, paths, excess } = await holdingServer(t)
  send(get('/1') + get('/2') + get('/3') + get('/4'))
  await until('/1')
  // Its turn has come, and its client goes in the same moment.
  end('/1')
  begun[0]?.request.socket.destroy()
  await turn()
  await turn()
  t.strictSame(paths(), ['/1'])
  send(get('/5') + get('/6') + get('/7') + get('/8'))
  await until('/5')
  t.strictSame(excess(), { excess: 0, closed: 0 }, 'all of the room is free again')
  const last = send(get('/a') + get('/b'))
  await once(last, 'close')
  t.strictSame(excess(), { excess: 1, closed: 1 }, 'and no more than all')
})

t.test('what a connection has begun is not counted again when it is closed', async (t) => {
  const { until, end, send, begun, excess } = await holdingServer(t)
  send(get('/1') + get('/2') + get('/3'))
  await until('/1')
  end('/1')
  await until('/2')
  begun[1]?.request.socket.destroy()
  await turn()
  const last = send(get('/4') + get('/5') + get('/6') + get('/7') + get('/8'))
  await once(last, 'close')
  t.strictSame(excess(), { excess: 1, closed: 1 }, 'there is room for three')
})

t.test('requests that find no room are not made', async (t) => {
  let made = 0
  const pipelining = new Pipelining({
    listener: () => undefined,
    maxBytes: 3 * requestBytes,
    onExcess: () => undefined,
  })
  const server = createServer((request, response) => {
    made++
    pipelining.begin(request, response)
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1', () =>
    client.write(get('/1').repeat(100)),
  )
  client.on('error', () => undefined)
  await once(client, 'close')
  t.equal(made, 5, 'one has begun, three wait, and one is too many')
})
