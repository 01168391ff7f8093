import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { FaultProxy } from '../support/fault-proxy.js'

/** Time in ms without an event after which we assume that none will come. */
const silenceMs = 100

/** A server that sends back what it gets, in capitals, behind a proxy. */
async function echoThroughProxy(t: Test) {
  const atServer: Socket[] = []
  const server = createServer((socket) => {
    atServer.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => socket.write(chunk.toString().toUpperCase()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = new FaultProxy((server.address() as AddressInfo).port)
  const port = await proxy.listen()
  t.teardown(async () => {
    await proxy.close()
    for (const socket of atServer) socket.destroy()
    server.close()
  })
  return { proxy, atServer, client: () => new Client(t, port) }
}

class Client {
  heard = ''
  end: 'open' | 'ended' | 'reset' = 'open'
  readonly socket: Socket

  constructor(t: Test, port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.setEncoding('utf8').on('data', (text: string) => {
      this.heard += text
    })
    this.socket.on('error', () => {
      this.end = 'reset'
    })
    this.socket.on('end', () => {
      this.end = 'ended'
    })
    t.teardown(() => this.socket.destroy())
  }

  say(text: string): void {
    this.socket.write(text)
  }

  async hears(text: string): Promise<void> {
    while (this.heard !== text) await sleep(5)
  }

  async isReset(): Promise<void> {
    while (this.end !== 'reset') await sleep(5)
  }
}

t.test('the proxy passes on bytes and ends of connections, and counts them', async (t) => {
  const { proxy, client } = await echoThroughProxy(t)
  const one = client()
  one.say('hello')
  await one.hears('HELLO')
  one.socket.end()
  await once(one.socket, 'close')
  t.equal(one.end, 'ended')
  while (proxy.connections() > 0) await sleep(5)
  t.match(proxy.counts, { accepted: 1, bytesToServer: 5, bytesToClient: 5, bytesDropped: 0 })
})

t.test('the port by which the server knows a connection tells its proxy', async (t) => {
  const { proxy, client, atServer } = await echoThroughProxy(t)
  const one = client()
  one.say('a')
  await one.hears('A')
  const port = atServer[0]?.remotePort as number
  t.ok(proxy.hasClientPort(port))
  t.notOk(proxy.hasClientPort(one.socket.localPort as number))
  proxy.reset()
  await one.isReset()
  t.notOk(proxy.hasClientPort(port))
})

t.test('reset: both sides get an RST', async (t) => {
  const { proxy, client } = await echoThroughProxy(t)
  const one = client()
  one.say('a')
  await one.hears('A')
  proxy.reset()
  await one.isReset()
  t.equal(proxy.connections(), 0)
})

t.test(
  'half-open: bytes vanish for ever, also after it is healed, and so does the end of the server',
  async (t) => {
    const { proxy, client, atServer } = await echoThroughProxy(t)
    const one = client()
    one.say('a')
    await one.hears('A')
    proxy.set({ toServer: { kind: 'drop' }, toClient: { kind: 'drop' }, existingOnly: true })
    one.say('b')
    atServer[0]?.destroy()
    const other = client()
    other.say('new')
    await other.hears('NEW')
    proxy.heal()
    await sleep(silenceMs)
    t.match(one, { heard: 'A', end: 'open' })
    t.ok(proxy.counts.bytesDropped > 0)
    proxy.heal({ reset: true })
    await one.isReset()
  },
)

t.test('one way only: requests arrive, and responses are lost', async (t) => {
  const { proxy, client, atServer } = await echoThroughProxy(t)
  const one = client()
  one.say('a')
  await one.hears('A')
  proxy.set({ toClient: { kind: 'drop' } })
  const heard = once(atServer[0] as Socket, 'data')
  one.say('b')
  t.equal(String((await heard)[0]), 'b')
  await sleep(silenceMs)
  t.equal(one.heard, 'A')
})

t.test('hold: everything arrives in order when the link is healed', async (t) => {
  const { proxy, client } = await echoThroughProxy(t)
  const one = client()
  one.say('a')
  await one.hears('A')
  proxy.set({ toServer: { kind: 'hold' }, toClient: { kind: 'hold' } })
  one.say('b')
  one.say('c')
  await sleep(silenceMs)
  t.equal(one.heard, 'A')
  proxy.heal()
  await one.hears('ABC')
})

t.test('delay: everything arrives later and in order', async (t) => {
  const { proxy, client } = await echoThroughProxy(t)
  proxy.set({ toServer: { kind: 'delay', ms: 60 }, toClient: { kind: 'delay', ms: 60 } })
  const one = client()
  const startMs = performance.now()
  one.say('a')
  await sleep(10)
  one.say('b')
  await one.hears('AB')
  t.ok(performance.now() - startMs >= 115)
})

t.test('cut: the connection is reset after a number of bytes', async (t) => {
  const { proxy, client } = await echoThroughProxy(t)
  const one = client()
  one.say('a')
  await one.hears('A')
  proxy.set({ toServer: { kind: 'cut', bytes: 3 } })
  one.say('bcdef')
  await one.isReset()
  t.equal(proxy.counts.reset, 1)
})

t.test('new connections are refused, or not answered until the link is healed', async (t) => {
  const { proxy, client } = await echoThroughProxy(t)
  proxy.set({ admission: 'refuse' })
  await client().isReset()
  proxy.set({ admission: 'ignore' })
  const ignored = client()
  ignored.say('a')
  await sleep(silenceMs)
  t.match(ignored, { heard: '', end: 'open' })
  proxy.heal()
  await ignored.isReset()
  t.match(proxy.counts, { accepted: 0, refused: 1, ignored: 1 })
})

t.test('the listening connection is recognised by its first message', async (t) => {
  const { proxy, client } = await echoThroughProxy(t)
  const [listener, pooled] = [client(), client()]
  listener.say('application_name caching-layer changes')
  pooled.say('application_name caching-layer')
  await Promise.all([
    listener.hears('APPLICATION_NAME CACHING-LAYER CHANGES'),
    pooled.hears('APPLICATION_NAME CACHING-LAYER'),
  ])
  t.equal(proxy.connections('listener'), 1)
  t.equal(proxy.connections('pool'), 1)
  pooled.heard = ''
  proxy.set({ scope: 'listener', toServer: { kind: 'drop' } })
  listener.say('x')
  pooled.say('y')
  await pooled.hears('Y')
  proxy.reset('pool')
  await pooled.isReset()
  t.equal(listener.end, 'open')
})

t.test('barred: no new connection gets through, even after healing', async (t) => {
  const { proxy, client } = await echoThroughProxy(t)
  const [listener, pooled] = [client(), client()]
  listener.say('application_name caching-layer changes')
  pooled.say('application_name caching-layer')
  await listener.hears('APPLICATION_NAME CACHING-LAYER CHANGES')
  await pooled.hears('APPLICATION_NAME CACHING-LAYER')
  proxy.bar('pool')
  await pooled.isReset()
  proxy.heal()
  await client().isReset()
  listener.heard = ''
  listener.say('a')
  await listener.hears('A')
  proxy.bar()
  await listener.isReset()
  proxy.unbar()
  const next = client()
  next.say('b')
  await next.hears('B')
})

t.test('new connections are redirected to another server', async (t) => {
  const { proxy, client } = await echoThroughProxy(t)
  const other = createServer((socket) => socket.on('error', () => undefined).end('other'))
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const before = client()
  before.say('a')
  await before.hears('A')
  proxy.lead((other.address() as AddressInfo).port)
  await client().hears('other')
  before.say('b')
  await before.hears('AB')
})
