import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { ClientOptions, ClientResult } from '../../../bench/load/client.js'
import { stallingServer } from '../../support/stalling-server.js'

const program = fileURLToPath(new URL('../../../bench/load/client.ts', import.meta.url))
const stallMs = 500

async function run(options: ClientOptions): Promise<ClientResult> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--import',
    import.meta.resolve('tsx'),
    program,
    JSON.stringify(options),
  ])
  return JSON.parse(stdout) as ClientResult
}

t.test('an open loop measures from the moment a request was due', async (t) => {
  const server = await stallingServer(t, { after: 50, stallMs })
  const result = await run({
    ports: [server.port],
    connections: 2,
    seconds: 2,
    rate: 100,
    work: { kind: 'walk', keys: 10_000, from: 0 },
  })
  t.equal(result.answered, 200)
  t.equal(new Set(server.asked).size, 200, 'every key once')
  // 2 requests were stalled on their connections; 48 or so were due meanwhile and waited for those.
  t.ok(result.p99Ms > 0.8 * stallMs, `p99 ${result.p99Ms} ms`)
  t.equal(result.failed, 0)
})

t.test('a closed loop sends after each response and counts failures', async (t) => {
  const server = createServer((request, response) => {
    request.resume()
    response.statusCode = request.method === 'POST' ? 503 : 200
    response.end('{"value":"'.padEnd(100_000, 'x'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const options = { ports: [port], connections: 4, seconds: 0.5 }
  const good = await run({ ...options, work: { kind: 'hit', path: '/' } })
  t.ok(good.requests > 4)
  t.equal(good.failed, 0)
  const bad = await run({ ...options, work: { kind: 'set', keys: 10, valueBytes: 10 } })
  t.equal(bad.failed, bad.answered)
})
