import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import t from 'tap'
import { LargeHeaders } from '../../../../src/http/server/large-headers.js'
import { bytesForOneBody, RequestBodies } from '../../../../src/http/server/request-bodies.js'
import { ResponseRoom } from '../../../../src/http/server/response-room.js'
import { UnreadResponses } from '../../../../src/http/server/unread-responses.js'

const large = 16 * 1024

t.test('large responses use four fifths of the room, so that small ones still find some', async (t) => {
  const responses = new UnreadResponses(100_000)
  t.equal(responses.hasRoomFor(80_000), true)
  t.equal(responses.hasRoomFor(80_001), false)
  t.equal(responses.acquire(80_000), true)
  t.equal(responses.acquire(large), false)
  t.equal(responses.acquire(large - 1), true)
  t.equal(responses.acquire(3_617), true)
  t.equal(responses.acquire(1), false, 'now it is full')
  t.equal(responses.bytes, 100_000)
  responses.release(100_000)
  t.equal(responses.bytes, 0)
})

t.test('a further part of a large response is not taken for a small one', async (t) => {
  const responses = new UnreadResponses(100_000)
  t.equal(responses.acquire(80_000), true)
  t.equal(responses.acquire(1, large), false)
  t.equal(responses.acquire(1), true)
})

/** A socket as `UnreadResponses` sees it. */
class Written extends EventEmitter {
  writableLength = 0
  readonly writableHighWaterMark = 100
  destroyed = false
}

t.test('what a client has not read is counted until the socket has drained or is closed', async (t) => {
  const responses = new UnreadResponses(100_000)
  const socket = new Written()
  const written = (bytes: number) => {
    socket.writableLength = bytes
    responses.written(socket as unknown as Socket)
    return responses.bytes
  }
  t.equal(written(99), 0, 'no drain would follow')
  t.equal(written(100), 100)
  t.equal(written(250), 250, 'not counted twice')
  t.same([socket.listenerCount('drain'), socket.listenerCount('close')], [1, 1])
  socket.emit('drain')
  t.equal(responses.bytes, 0)
  socket.emit('close')
  t.equal(responses.bytes, 0, 'not released twice')
  t.equal(written(300), 300)
  socket.emit('close')
  t.equal(responses.bytes, 0)
  t.same([socket.listenerCount('drain'), socket.listenerCount('close')], [0, 0])
  socket.destroyed = true
  t.equal(written(300), 0)
})

t.test('a response takes room part by part, and gives all of it back', async (t) => {
  const responses = new UnreadResponses(100_000)
  const room = new ResponseRoom(responses)
  for (const bytes of [10_000, 20_000]) room.take(bytes)
  t.equal(responses.bytes, 30_000)
  t.throws(() => room.take(50_001), {
    status: 413,
    kind: 'response-too-large',
    message: 'keys: their values are larger than 80000 bytes together; ask for fewer keys',
  })
  t.equal(responses.acquire(40_000), true)
  t.throws(() => room.take(10_001), { status: 503, message: /No memory is left for the response/ })
  room.take(10_000)
  const response = new EventEmitter() as ServerResponse
  room.releaseAfter(response)
  t.equal(responses.bytes, 80_000, 'it is being sent')
  response.emit('close')
  t.equal(responses.bytes, 40_000)
  room.release()
  t.equal(responses.bytes, 40_000)
})

t.test('a response whose client has gone gives its room back at once', async (t) => {
  const responses = new UnreadResponses(100_000)
  const room = new ResponseRoom(responses)
  room.take(1_000)
  room.releaseAfter(Object.assign(new EventEmitter(), { destroyed: true }) as unknown as ServerResponse)
  t.equal(responses.bytes, 0)
})

t.test('a body is counted twice, and there is always room for one of the largest size', async (t) => {
  for (const length of [1, 999, 1_000_000]) {
    const bodies = new RequestBodies(bytesForOneBody(length))
    t.ok(bodies.largestBytes >= length, `${length} bytes`)
    t.equal(bodies.acquire(length), true)
    t.equal(bodies.bytes, 2 * length)
    bodies.release(length)
    t.equal(bodies.bytes, 0)
  }
  const bodies = new RequestBodies(100_000)
  t.equal(bodies.largestBytes, 40_000)
  t.equal(bodies.hasRoomFor(40_001), false)
  t.equal(bodies.acquire(40_000), true)
  t.equal(bodies.acquire(10_001), false)
  t.equal(bodies.bytes, 80_000, 'what was refused is not counted')
  t.equal(bodies.acquire(10_000), true)
})

t.test('only requests with large headers are counted, until their responses end', async (t) => {
  const headers = new LargeHeaders(10_000)
  const bookkeeping = 2_048
  const ask = (bytes: number) => {
    const response = new EventEmitter() as ServerResponse
    const rest = bytes - bookkeeping - 10
    const request = { url: '/'.repeat(5), rawHeaders: ['12345', 'x'.repeat(rest)] } as IncomingMessage
    return { response, isAdmitted: headers.admits(request, response) }
  }
  const first = ask(5_000)
  t.equal(first.isAdmitted, true)
  t.equal(ask(5_001).isAdmitted, false)
  t.equal(ask(4_096).isAdmitted, true, 'not large')
  t.equal(ask(4_097).isAdmitted, true)
  t.equal(ask(4_097).isAdmitted, false)
  first.response.emit('close')
  t.equal(ask(5_001).isAdmitted, true)
})
