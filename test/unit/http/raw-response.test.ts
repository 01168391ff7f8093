import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { socketFor } from '../../../src/http/fast-lane/raw-response.js'

/** Sends these bytes to a server, and resolves to its responses to so many requests, which it has not sent yet. */
async function responsesTo(t: Test, bytes: string, requests: number) {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => {
    client.destroy()
    server.close()
  })
  const responses: ServerResponse[] = []
  const received = new Promise<void>((resolve) => {
    server.on('request', (_request, response) => {
      if (responses.push(response) === requests) resolve()
    })
  })
  client.on('error', () => undefined).write(bytes)
  await received
  return responses as [ServerResponse, ...ServerResponse[]]
}

const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'

t.test('a response is written to the socket, unless Node has to send it', async (t) => {
  const [usual] = await responsesTo(t, request, 1)
  const socket = usual.socket as Socket
  t.equal(socketFor(usual), socket)
  socket.cork()
  socket.write('x')
  t.equal(socketFor(usual), undefined, 'the client does not read')
  socket.destroy()
  t.equal(socketFor(usual), undefined, 'the client is gone')

  const [first, second] = await responsesTo(t, request.repeat(2), 2)
  t.equal(socketFor(first), first.socket)
  t.equal(socketFor(second as ServerResponse), undefined, 'another response must be sent before')

  const [last] = await responsesTo(t, request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'), 1)
  t.equal(socketFor(last), undefined, 'the connection is to be closed')
})

t.test('a destroyed socket is not written to', async (t) => {
  const [response] = await responsesTo(t, request, 1)
  const socket = response.socket as Socket
  socket.destroy()
  t.equal(socket.writableLength, 0)
  t.equal(response.socket, socket, 'it is still that of the response')
  t.equal(socketFor(response), undefined)
})
