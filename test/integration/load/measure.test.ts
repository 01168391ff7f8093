import t, { type Test } from 'tap'
import { measure } from '../../../src/tools/load/measure.js'
import type { Operation } from '../../../src/tools/load/mix.js'
import { preload } from '../../../src/tools/load/preload.js'
import { keyPrefix, Requests } from '../../../src/tools/load/requests.js'
import { answer, scriptedServer } from '../../support/scripted-server.js'

const requests = new Requests({ valueBytes: 4, host: 'sidecar', token: undefined })

async function measured(t: Test, statusOf: (text: string) => number, durationMs: number, stopAfter = 1e9) {
  const stop = new AbortController()
  let asked = 0
  const server = await scriptedServer(t, (socket, text) => {
    if (++asked === stopAfter) stop.abort()
    const status = statusOf(text)
    if (status === 0) socket.destroy()
    else socket.write(answer(status))
  })
  const lines: string[] = []
  const result = await measure({
    address: { port: server.port },
    connections: 2,
    rate: 100,
    durationMs,
    mix: new Map<Operation, number>([['get', 1]]),
    keys: { count: 10, exponent: 0 },
    requests,
    stop: stop.signal,
    progress: (line) => lines.push(line),
  })
  return { result, lines }
}

t.test('a measurement shows its progress every second, and counts by operation and status', async (t) => {
  const { result, lines } = await measured(t, () => 503, 1_500)
  t.match(lines[0], /^1 of 1\.5 s {2}\d+ requests\/s {2}p50 \d+ µs {2}p99 \d+ µs {2}\d+ failed$/)
  t.match(result, { due: 150, sent: 150, answered: 150, failed: 150, statuses: { get: { 503: 150 } } })
  t.equal(result.ratePerSecond, result.answered / result.seconds)
  t.ok(result.seconds >= 1.4)
  t.ok(result.lateness.count > 0)
  t.equal(result.failedLatencies.count, 150)
  t.ok(result.failedLatencies.maxMicros < 60_000_000, 'a latency, and not a moment')
  t.notOk('lost' in result)
})

t.test('a measurement without failures does not speak of them', async (t) => {
  const { result, lines } = await measured(t, () => 200, 1_200)
  t.notMatch(lines[0], 'failed')
  t.match(result, { failed: 0, latencies: { get: { count: 120 } } })
})

t.test('a measurement can be stopped, and tells why it ended early', async (t) => {
  const stopped = await measured(t, () => 200, 1e6, 3)
  t.ok(stopped.result.sent < 1e4)
  t.notOk('lost' in stopped.result)
  const lost = await measured(t, () => 0, 1e6)
  t.match(lost.result.lost, /./)
})

t.test('keys are written once each before a load, until a write is refused', async (t) => {
  const keys: string[] = []
  let status = 200
  const { port } = await scriptedServer(t, (socket, text) => {
    keys.push((JSON.parse(text.slice(text.indexOf('\r\n\r\n'))) as { key: string }).key)
    socket.write(answer(status))
  })
  const done: number[] = []
  const options = {
    address: { port },
    connections: 3,
    make: (number: number) => requests.make('set', number),
    onProgress: (count: number) => done.push(count),
  }
  t.equal(await preload({ ...options, count: 2_001 }), 2_001)
  t.strictSame(
    new Set(keys),
    new Set(Array.from({ length: 2_001 }, (_, index) => `${keyPrefix}${index + 1}`)),
  )
  t.equal(keys.length, 2_001)
  t.strictSame(done, [1_000, 2_000])
  t.equal(await preload({ ...options, count: 9, stop: AbortSignal.abort() }), 0)
  status = 503
  await t.rejects(preload({ ...options, count: 1 }), { message: 'key 1 of 1: the sidecar answered 503' })
})
