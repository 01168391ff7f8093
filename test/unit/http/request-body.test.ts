import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { receiveBody } from '../../../src/http/fast-lane/request-body.js'
import { RequestBodies } from '../../../src/http/server/request-bodies.js'
import { turn } from '../../support/turn.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

t.test('a request that stays alive does not hold its received body', async (t) => {
  const request = new IncomingMessage(new Socket())
  let received: string | undefined
  const bodies = new RequestBodies(1_000)
  receiveBody(request, 11, bodies, (bytes) => {
    received = String(bytes)
  })
  const part = (text: string): WeakRef<Buffer> => {
    const chunk = Buffer.from(text)
    request.push(chunk)
    return new WeakRef(chunk)
  }
  const parts = [part('{"key":'), part('"k"}')]
  t.ok(bodies.bytes > 0)
  request.push(null)
  t.equal(received, '{"key":"k"}')
  await turn()
  collectGarbage()
  for (const one of parts) t.equal(one.deref(), undefined)
  t.equal(request.readableFlowing, null)
})

t.test('a body in one piece is neither held nor copied', async (t) => {
  const request = new IncomingMessage(new Socket())
  let length: number | undefined
  receiveBody(request, 11, new RequestBodies(1_000), (bytes) => {
    length = bytes?.length
  })
  const push = () => {
    const chunk = Buffer.from('{"key":"k"}')
    request.push(chunk)
    return new WeakRef(chunk)
  }
  const chunk = push()
  await turn()
  collectGarbage()
  t.not(chunk.deref(), undefined, 'until its end has come')
  request.push(null)
  t.equal(length, 11)
  await turn()
  collectGarbage()
  t.equal(chunk.deref(), undefined)
})

t.test(
  'a body that finds no room is dropped, and one whose client has gone is counted no more',
  async (t) => {
    const socket = new Socket()
    const bodies = new RequestBodies(100)
    const [first, second] = [new IncomingMessage(socket), new IncomingMessage(new Socket())]
    const got: (string | undefined)[] = []
    for (const request of [first, second]) {
      receiveBody(request, 40, bodies, (bytes) => got.push(bytes?.toString()))
    }
    first.push(Buffer.from('part'))
    t.equal(bodies.bytes, 80, 'all of it is counted at its first byte')
    second.push(Buffer.from('part'))
    second.push(null)
    t.same(got, [undefined])
    socket.emit('close')
    t.equal(bodies.bytes, 0)
    first.push(null)
    t.same(got, [undefined])
  },
)
