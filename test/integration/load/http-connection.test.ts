import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { HttpConnection } from '../../../src/tools/load/http-connection.js'
import { eventually } from '../../support/eventually.js'
import { answer, scriptedServer } from '../../support/scripted-server.js'

const request = Buffer.from('GET / HTTP/1.1\r\n\r\n')

/** Resolves to the status of the response, or to the reason why there is none. */
function ask(connection: HttpConnection): Promise<number | string> {
  return new Promise((resolve) => {
    connection.onAnswer = resolve
    connection.onLost = ({ message }) => resolve(message)
    connection.send(request)
  })
}

t.test('a response in pieces is read as one', async (t) => {
  const text = answer(404, 'a body with\r\n\r\nan empty line')
  let cut = 0
  const { port } = await scriptedServer(t, (socket) => {
    socket.write(text.slice(0, cut))
    setImmediate(() => socket.write(text.slice(cut)))
  })
  const connection = await HttpConnection.open({ port })
  for (cut = 1; cut < text.length; cut++) t.equal(await ask(connection), 404)
  connection.close()
})

t.test('a response that is not from a sidecar ends the connection with a message', async (t) => {
  const said: Record<string, string> = {
    'an answer without Content-Length: is this a sidecar?':
      'HTTP/1.1 200 OK\r\n\r\nContent-Length: 2\r\n\r\n{}',
    'more was answered than was asked for': answer(200) + answer(200),
  }
  for (const [words, text] of Object.entries(said)) {
    const { port } = await scriptedServer(t, (socket) => socket.write(text))
    t.equal(await ask(await HttpConnection.open({ port })), words)
  }
  const { port } = await scriptedServer(t, (socket) => socket.end())
  t.equal(await ask(await HttpConnection.open({ port })), 'the server closed a connection')
})

t.test('either all connections are opened or none', async (t) => {
  const { port, sockets } = await scriptedServer(t, () => {})
  await t.rejects(HttpConnection.openAll([{ port }, { port: 1 }]), { code: 'ECONNREFUSED' })
  await eventually(() => sockets[0]?.closed)
})

t.test('a Unix socket can be used', async (t) => {
  // A socket's path has to be short.
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'load.sock')
  await scriptedServer(t, (socket) => socket.write(answer(200)), path)
  const connection = await HttpConnection.open({ path })
  t.equal(await ask(connection), 200)
  connection.close()
})
