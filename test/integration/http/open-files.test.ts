import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { connectionShares } from '../../../src/http/server/open-files-limit.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { JsonClient } from '../../support/json-client.js'

t.test('how many connections the limit on open files allows', async (t) => {
  const wanted = { data: 10_000, ops: 1_000 }
  t.same(connectionShares(wanted, Number.POSITIVE_INFINITY), wanted)
  t.same(connectionShares(wanted, 1_048_576), wanted)
  t.same(connectionShares(wanted, 1_024), { data: 840, ops: 120 })
  t.same(connectionShares(wanted, 0), { data: 1, ops: 1 })
})

t.test(
  'a sidecar survives as many connections as open files',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const { url } = await cacheDatabase(t)
    const main = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))
    const child = spawn('sh', ['-c', 'ulimit -n 200; exec "$0" "$1" serve', process.execPath, main], {
      env: { PATH: process.env.PATH, DATABASE_URL: url, PORT: '0', OPS_HOST: '127.0.0.1', OPS_PORT: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    t.teardown(async () => {
      child.kill()
      await once(child, 'exit')
    })
    let log = ''
    child.stderr.on('data', (chunk) => {
      log += chunk
    })
    const portOf = (message: string) =>
      eventually(() => Number(new RegExp(`"port":(\\d+),"msg":"${message}"`).exec(log)?.[1]))
    const [opsPort, port] = [await portOf('answering probes'), await portOf('serving')]
    t.match(log, 'the limit on open files allows fewer connections than CACHE_MAX_CONNECTIONS')
    for (const target of [port, opsPort]) {
      for (let index = 0; index < 400; index++) {
        const socket = connect(target, '127.0.0.1').on('error', () => undefined)
        t.teardown(() => socket.destroy())
        await once(socket, 'connect')
      }
      t.equal((await new JsonClient(`http://127.0.0.1:${opsPort}`).request('GET', '/livez')).status, 200)
      t.equal((await new JsonClient(`http://127.0.0.1:${port}`).request('GET', '/health')).status, 200)
    }
    const metrics = await new JsonClient(`http://127.0.0.1:${opsPort}`).request('GET', '/metrics')
    t.match(metrics.text, /^caching_layer_connections_closed_total\{reason="evicted"\} [1-9]\d\d$/m)
    t.match(
      log,
      /"listener":"data","maxConnections":\d+,"count":1,"msg":"as many connections are open as may be"/,
    )
  },
)
