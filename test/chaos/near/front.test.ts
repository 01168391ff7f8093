import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import type { Owner } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { type ConnectionKind, Front, type Lead } from './front.js'

/** Starts a server that says its name to each connection. */
async function named(t: Owner, name: string) {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.resume().write(name)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

async function front(t: Owner, leads: readonly Lead[]) {
  let next = 0
  const kinds: ConnectionKind[] = []
  const started = new Front((kind) => {
    kinds.push(kind)
    return leads[next++] as Lead
  })
  const { port } = new URL(await started.listen())
  t.teardown(() => started.close())
  /** Opens a connection. */
  const open = (first = 'GET / HTTP/1.1') => {
    const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8')
    const heard = { text: '', socket }
    socket.on('data', (text) => (heard.text += text)).on('error', () => undefined)
    socket.write(first)
    t.teardown(() => socket.destroy())
    return heard
  }
  return { started, open, kinds }
}

const steady = { delayMs: 0, lifetimeMs: undefined }

t.test('each connection is led on its own', async (t) => {
  const [a, b] = [await named(t, 'a'), await named(t, 'b')]
  const { started, open, kinds } = await front(t, [
    { ...steady, port: a.port },
    { ...steady, port: b.port },
    { ...steady, port: undefined },
  ])
  const first = open()
  await eventually(() => first.text === 'a')
  const second = open('GET /v1/changes HTTP/1.1')
  await eventually(() => second.text === 'b')
  const refused = open()
  await eventually(() => refused.socket.closed)
  t.equal(refused.text, '')
  t.equal(started.connections, 3)
  t.same(kinds, ['requests', 'stream', 'requests'])
  started.cut()
  for (const { socket } of [first, second]) await eventually(() => socket.closed)
})

t.test('late bytes come in their order, and before the end', async (t) => {
  const a = await named(t, '1')
  const { open } = await front(t, [{ port: a.port, delayMs: 300, lifetimeMs: undefined }])
  const beganMs = performance.now()
  const client = open()
  await eventually(() => a.sockets.length === 1)
  for (const text of ['2', '3']) {
    a.sockets[0]?.write(text)
    await new Promise(setImmediate)
  }
  a.sockets[0]?.end()
  await once(client.socket, 'close')
  t.equal(client.text, '123')
  t.ok(performance.now() - beganMs >= 300)
})

t.test('a connection ends with its lifetime', async (t) => {
  const a = await named(t, 'a')
  const { open } = await front(t, [{ port: a.port, delayMs: 0, lifetimeMs: 50 }])
  await once(open().socket, 'close')
  await eventually(() => a.sockets[0]?.destroyed)
})
