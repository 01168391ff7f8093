import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { eventually } from '../../support/eventually.js'
import { modelHttp } from '../../support/model-http.js'

const start = (t: Test) => modelHttp(t, { isFastLaneOn: true })

t.test('sets of the fast lane are counted by their outcome, and leave no body behind', async (t) => {
  const { client, store, bodies, counted } = await start(t)
  t.equal((await client.set('k', 1)).status, 200)
  t.equal((await client.set('', 1)).status, 422)
  t.strictSame(counted(), ['/cache/set ok db', '/cache/set refused none'])
  store.fail('write', 'forbidden')
  t.equal((await client.set('k', 1)).status, 403)
  store.stop()
  t.match(await client.set('k', 1), { status: 200, body: { db_written: false } })
  t.strictSame(counted(), ['/cache/set ok db', '/cache/set refused none', '/cache/set ok kept'])
  t.equal(bodies.bytes, 0)
})

t.test('a set of the fast lane is in memory, and its time is counted, until it is answered', async (t) => {
  const { client, store, clock, bodies, requests } = await start(t)
  const gate = store.hold('write')
  const setting = client.set('k', 1)
  await gate.reached
  t.ok(bodies.bytes > 0)
  clock.advance(40)
  gate.open()
  t.equal((await setting).status, 200)
  const [durations] = [...requests.durations()].filter(({ route }) => route === '/cache/set')
  t.equal(durations?.seconds.sum, 0.04)
})

t.test('a set whose body finds no room when it arrives is refused and counted', async (t) => {
  const { client, port, bodies, counted, clock, requests } = await start(t)
  const body = JSON.stringify({ key: 'k', value: 'x'.repeat(1_000) })
  const head = `POST /cache/set HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  t.teardown(() => socket.destroy())
  // The first response shows that the head after it has arrived as well.
  socket.write(`GET /cache/get?key=none HTTP/1.1\r\nHost: localhost\r\n\r\n${head}`)
  t.match(String(await once(socket, 'data')), /^HTTP\/1\.1 404 /)
  const room = 499_500
  t.equal(bodies.acquire(room), false, 'large bodies leave some of the room')
  while (bodies.acquire(1_000));
  const taken = bodies.bytes
  clock.advance(40)
  socket.write(body)
  t.match(String(await once(socket, 'data')), /^HTTP\/1\.1 503 .*No memory is left for the body/s)
  t.equal(bodies.bytes, taken, 'what was not counted is not released')
  t.ok(counted().includes('/cache/set unavailable none'))
  const [durations] = [...requests.durations()].filter(({ route }) => route === '/cache/set')
  t.equal(durations?.seconds.sum, 0.04)
  bodies.release(taken / 2)
  socket.write(`${head}${body}`)
  await eventually(async () => (await client.get('k')).status === 200)
})
