import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CliProcess, clientOf } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))

t.test(
  'the first line of the log describes what was started, and the listeners name the version',
  async (t) => {
    const sidecar = new CliProcess(t, ['serve', '--cache-ttl-seconds=5'], {
      DATABASE_URL: 'postgresql://app:s3cret@127.0.0.1:1/orders',
      CACHE_API_TOKEN: 's3cret-token',
      PORT: '0',
      OPS_PORT: '0',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    })
    await eventually(() => sidecar.log.some(({ msg }) => msg === 'serving'))
    const [first] = sidecar.log
    t.match(first, {
      level: 30,
      msg: 'starting',
      version,
      node: process.version,
      database: { host: '127.0.0.1', name: 'orders' },
      data: { host: 'localhost', port: 0 },
      operations: { host: '::', port: 0 },
    })
    const data = await clientOf(sidecar, 'serving')
    const ops = await clientOf(sidecar, 'answering probes')
    t.match((await data.request('GET', '/', { headers: { Authorization: 'Bearer s3cret-token' } })).body, {
      service: 'caching-layer',
      version,
    })
    t.match((await data.request('GET', '/health')).body, { status: 'ok', version })
    const metrics = (await ops.request('GET', '/metrics')).text
    t.ok(
      metrics.includes(
        `caching_layer_build_info{version="${version}",node_version="${process.version}"} 1\n`,
      ),
    )
    t.same(first?.settings, {
      PORT: 0,
      OPS_PORT: 0,
      CACHE_API_TOKEN: '(a token)',
      DATABASE_URL: 'postgresql://app@127.0.0.1:1/orders',
      CACHE_TTL_SECONDS: 5,
    })
    t.notMatch(sidecar.stderr, 's3cret')
    t.ok(sidecar.log.some(({ msg }) => /^OTEL_EXPORTER_OTLP_PROTOCOL=grpc: not supported/.test(String(msg))))
  },
)

t.test('a URL in a file is no default, and a warning of a library is a line like any other', async (t) => {
  const url = join(t.testdir({ url: 'postgresql://app@127.0.0.1:1/orders?sslmode=require' }), 'url')
  const sidecar = new CliProcess(t, ['serve'], { DATABASE_URL_FILE: url, PORT: '0', OPS_PORT: '0' })
  await eventually(() => sidecar.log.some(({ msg }) => msg === 'serving'))
  await eventually(() => sidecar.log.some(({ msg }) => msg === 'warning of Node.js'))
  t.notOk(sidecar.log.some(({ msg }) => String(msg).startsWith('DATABASE_URL is not set')))
  sidecar.kill('SIGTERM')
  await sidecar.exited
  t.equal(sidecar.log.length, sidecar.stderr.trim().split('\n').length, 'every line is JSON')
})
