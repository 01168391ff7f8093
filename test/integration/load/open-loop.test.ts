import t, { type Test } from 'tap'
import { closedLoop } from '../../../src/tools/load/closed-loop.js'
import { HttpConnection } from '../../../src/tools/load/http-connection.js'
import { Latencies } from '../../../src/tools/load/latencies.js'
import { OpenLoop } from '../../../src/tools/load/open-loop.js'
import { answer, scriptedServer } from '../../support/scripted-server.js'
import { stallingServer } from '../../support/stalling-server.js'

const request = { bytes: Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n') }

async function connect(t: Test, port: number, connections: number): Promise<HttpConnection[]> {
  const all = await HttpConnection.openAll(Array.from({ length: connections }, () => ({ port })))
  t.teardown(() => {
    for (const connection of all) connection.close()
  })
  return all
}

async function load(
  t: Test,
  port: number,
  given: { rate: number; durationMs: number; connections: number; graceMs?: number; stop?: AbortSignal },
) {
  const latencies = new Latencies()
  const dues: number[] = []
  let earliestMs = Number.POSITIVE_INFINITY
  const { connections, stop = new AbortController().signal, ...options } = given
  const loop = new OpenLoop({
    ...options,
    stop,
    connections: await connect(t, port, connections),
    next: () => request,
    onAnswer: (_request, _status, dueMs) => {
      dues.push(dueMs)
      const latencyMs = performance.now() - dueMs
      latencies.add(latencyMs)
      earliestMs = Math.min(earliestMs, latencyMs)
    },
  })
  const result = await loop.run()
  return {
    ...result,
    earliestMs,
    latencies: latencies.summary(),
    dues: dues.sort((one, other) => one - other),
  }
}

t.test('a stall counts for all requests that were due meanwhile; a closed loop misses them', async (t) => {
  const [stallMs, total] = [500, 400]
  const stalling = await stallingServer(t, { after: 50, stallMs })
  const open = await load(t, stalling.port, { rate: 200, durationMs: 2_000, connections: 2 })
  t.match(open, { due: total, sent: total, answered: total, lost: undefined })
  t.ok(stalling.stalled() <= 2, 'no more than one on each connection')
  // 100 of the 400 were due in those 500 ms, none was answered before they were over, and half of them waited half as long.
  t.ok(open.latencies.p90Micros >= 250_000, `p90 ${open.latencies.p90Micros} µs`)
  t.equal(open.latencies.count, total)

  const other = await stallingServer(t, { after: 50, stallMs })
  let left = total
  const latencies = new Latencies()
  await closedLoop({
    connections: await connect(t, other.port, 2),
    next: () => (left-- > 0 ? request.bytes : undefined),
    onAnswer: (_status, sentMs) => latencies.add(performance.now() - sentMs),
  })
  t.equal(other.asked.length, total)
  t.ok(latencies.summary().maxMicros >= stallMs * 1_000)
  t.ok(other.stalled() <= 2, `a closed loop sees no more than that: ${other.stalled()} of ${total}`)
})

t.test('each request is due at its time, whatever happened to earlier ones', async (t) => {
  const { port } = await scriptedServer(t, (socket) => socket.write(answer(200)))
  const { startMs, dues, earliestMs, seconds, lateness, sent } = await load(t, port, {
    rate: 2_000,
    durationMs: 300,
    connections: 8,
  })
  t.equal(sent, 600)
  t.ok(dues.every((dueMs, index) => Math.abs(dueMs - startMs - index / 2) < 1e-6))
  t.ok(earliestMs >= 0, 'none is sent before it is due')
  t.ok(seconds >= 0.3)
  t.ok(lateness.count > 0 && lateness.count <= sent)
})

t.test('a lost connection ends the load, and the measurements stay', async (t) => {
  let asked = 0
  const { port } = await scriptedServer(t, (socket) => {
    if (++asked <= 20) socket.write(answer(200))
    else socket.destroy()
  })
  const { lost, answered, due, latencies } = await load(t, port, {
    rate: 100,
    durationMs: 60_000,
    connections: 1,
  })
  t.match(lost, { message: /closed a connection|ECONNRESET/ })
  t.equal(answered, 20)
  t.equal(latencies.count, 20)
  t.ok(due >= 21 && due < 6_000, `${due} were due`)
})

t.test('a server that does not respond cannot prolong the load', async (t) => {
  const { port, sockets } = await scriptedServer(t, () => {})
  const silent = await load(t, port, { rate: 100, durationMs: 100, connections: 2, graceMs: 50 })
  t.match(silent, { due: 10, sent: 2, answered: 0, lost: undefined })
  t.equal(sockets.length, 2)
})

t.test('the load can be stopped before and while it runs', async (t) => {
  const stopping = new AbortController()
  let asked = 0
  const { port } = await scriptedServer(t, (socket) => {
    if (++asked === 20) stopping.abort()
    socket.write(answer(200))
  })
  const options = { rate: 100, durationMs: 60_000, connections: 2, stop: stopping.signal }
  const stopped = await load(t, port, options)
  t.equal(stopped.answered, stopped.sent, 'what was sent is waited for')
  t.ok(stopped.sent >= 20 && stopped.sent <= 22, `${stopped.sent} were sent`)
  t.match(await load(t, port, options), { sent: 0, answered: 0, lost: undefined })
})

t.test('the load can be stopped while the server does not respond', async (t) => {
  const stopping = new AbortController()
  const { port } = await scriptedServer(t, () => stopping.abort())
  const options = { rate: 100, durationMs: 86_400_000, connections: 1, stop: stopping.signal }
  t.match(await load(t, port, options), { sent: 1, answered: 0, lost: undefined })
})
