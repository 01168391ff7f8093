import t from 'tap'
import { CliProcess, serve } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { JsonClient } from '../support/json-client.js'

const { url } = await cacheDatabase(t)

const portOf = ({ base }: JsonClient) => new URL(base).port

async function run(args: readonly string[], environment: Record<string, string>) {
  const command = new CliProcess(t, args, environment)
  const { code } = await command.exited
  return { code, out: command.stdout, said: command.stderr }
}

t.test('by default both listeners are reachable over IPv4 and IPv6', async (t) => {
  const { client, ops } = await serve(t, { DATABASE_URL: url })
  for (const host of ['127.0.0.1', '[::1]']) {
    const at = (port: string, path: string) => new JsonClient(`http://${host}:${port}`).request('GET', path)
    t.equal((await at(portOf(client), '/health')).status, 200, host)
    t.equal((await at(portOf(ops), '/livez')).status, 200, host)
  }
  t.equal((await run(['healthcheck'], { OPS_PORT: portOf(ops) })).code, 0)
})

t.test('commands reach HOST=::1, with or without brackets', async (t) => {
  for (const HOST of ['::1', '[::1]']) {
    const sidecar = await serve(t, { DATABASE_URL: url, HOST, OPS_HOST: HOST }, [], { host: '[::1]' })
    const environment = { HOST, PORT: portOf(sidecar.client), OPS_HOST: HOST, OPS_PORT: portOf(sidecar.ops) }
    t.same(await run(['set', 'k', 'v'], environment), { code: 0, out: '', said: '' })
    t.same(await run(['get', 'k'], environment), { code: 0, out: 'v\n', said: '' })
    t.same(await run(['healthcheck'], environment), { code: 0, out: 'alive\n', said: '' })
    t.match(await run(['wait', '--timeout=30'], environment), { code: 0 })
    const [seconds, rate] = ['--duration=1', '--rate=50']
    t.match(await run(['bench', seconds, rate, '--keys=uniform:5', '--json'], environment), { code: 0 })
  }
})

t.test('a HOST set by a shell is refused', async (t) => {
  for (const command of ['serve', 'config', 'dev']) {
    const refused = await run([command], { HOST: 'build-7', DATABASE_URL: url })
    t.match(refused, { code: 2, out: '', said: /^caching-layer: HOST=build-7 is a name.*\n$/ }, command)
  }
  t.match(await run(['migrate', '--status'], { HOST: 'build-7', DATABASE_URL: url }), { code: 0 })
  t.match(await run(['config'], { HOST: '0.0.0.0' }), { code: 0, said: /^HOST=0\.0\.0\.0: everybody.*\n$/ })
  const sidecar = await serve(t, { DATABASE_URL: url, HOST: '0.0.0.0' })
  sidecar.kill('SIGHUP')
  await eventually(() => sidecar.log.some(({ msg }) => msg === 'settings reloaded'))
  const warned = sidecar.log.filter(({ msg }) => String(msg).startsWith('HOST=0.0.0.0: '))
  t.match(warned, [{ level: 40 }])
  t.equal(warned.length, 1, 'once')
})

t.test('without DATABASE_URL the log says which default is used', async (t) => {
  const sidecar = new CliProcess(t, ['serve'], { PORT: '0', OPS_PORT: '0' })
  const told = await eventually(() =>
    sidecar.log.find(({ msg }) => msg === 'DATABASE_URL is not set: using the default'),
  )
  t.match(told, { level: 40, databaseUrl: 'postgresql://cache_user@127.0.0.1:5432/cache_db' })
  t.notMatch(sidecar.stderr, 'cache_pass')
})
