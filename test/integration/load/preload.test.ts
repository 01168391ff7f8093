import t, { type Test } from 'tap'
import { preload } from '../../../src/tools/load/preload.js'
import type { LoadRequest } from '../../../src/tools/load/requests.js'
import { answer, scriptedServer } from '../../support/scripted-server.js'

const request = Buffer.from('GET / HTTP/1.1\r\n\r\n')

/** Loads so many keys into a server whose response number `refusedNumber` is 503. */
async function loaded(t: Test, count: number, { refusedNumber = 0, stopAfter = 0 } = {}) {
  const made: number[] = []
  const progress: number[] = []
  const stop = new AbortController()
  let asked = 0
  const { port } = await scriptedServer(t, (socket) => {
    if (++asked === stopAfter) stop.abort()
    socket.write(answer(asked === refusedNumber ? 503 : 200))
  })
  const sent = preload({
    address: { port },
    connections: 1,
    count,
    make: (number) => {
      made.push(number)
      return { bytes: request } as LoadRequest
    },
    onProgress: (done) => progress.push(done),
    stop: stop.signal,
  })
  return { sent: await sent.catch(({ message }: Error) => message), made, progress }
}

t.test('each key is sent once, and every thousandth is told', async (t) => {
  const { sent, made, progress } = await loaded(t, 2_500)
  t.equal(sent, 2_500)
  t.strictSame([made.length, made[0], made.at(-1)], [2_500, 1, 2_500])
  t.strictSame(progress, [1_000, 2_000])
})

t.test('a refusal ends it, and names the key', async (t) => {
  const { sent, made } = await loaded(t, 10, { refusedNumber: 4 })
  t.equal(sent, 'key 4 of 10: the sidecar answered 503')
  t.strictSame(made, [1, 2, 3, 4])
})

t.test('a stop ends it after the requests that were sent', async (t) => {
  t.match(await loaded(t, 10, { stopAfter: 3 }), { sent: 3, made: [1, 2, 3] })
})
