import t from 'tap'
import { config } from '../../../src/cli/commands/config.js'
import { get } from '../../../src/cli/commands/get.js'
import { serve } from '../../../src/cli/commands/serve.js'
import { commandRun, fakeListener } from '../../support/command-run.js'

const faults = (environment: Record<string, string>, values: Record<string, string> = {}) =>
  commandRun(config, { environment, values, flags: ['check'] }).then(
    () => [],
    (error: { readonly faults?: readonly string[] }) => error.faults,
  )

const bothAre = (port: number) => [`PORT, OPS_PORT: both are ${port}; set different ports`]

t.test('the listeners of a sidecar cannot have the same port', async (t) => {
  t.strictSame(await faults({ PORT: '24110', OPS_PORT: '24110' }), bothAre(24_110))
  t.strictSame(await faults({ PORT: '9025' }), bothAre(9_025), 'a default counts')
  t.strictSame(await faults({}, { 'ops-port': '8025' }), bothAre(8_025), 'a flag counts')
  t.strictSame(await faults({ PORT: '0', OPS_PORT: '0' }), [], 'any free port')
  t.strictSame(await faults({ PORT: '9025', CACHE_SOCKET: '/run/cache' }), [], 'PORT is not used')
})

t.test('they can have the same port of different addresses', async (t) => {
  const on = (HOST: string, OPS_HOST: string) =>
    faults({ HOST, OPS_HOST, PORT: '24110', OPS_PORT: '24110', CACHE_API_TOKEN: 'let-me-in' })
  for (const [host, opsHost] of [
    ['127.0.0.1', '127.0.0.1'],
    ['localhost', '127.0.0.1'],
    ['localhost', '::1'],
    ['localhost', '0.0.0.0'],
    ['10.1.2.3', '0.0.0.0'],
    ['::ffff:10.1.2.3', '0.0.0.0'],
    ['10.1.2.3', '::'],
    ['fd00::1', '::'],
    ['0.0.0.0', '::'],
    ['cache.internal', 'cache.internal'],
    ['cache.internal', '::'],
  ] as const) {
    t.strictSame(await on(host, opsHost), bothAre(24_110), `${host} and ${opsHost}`)
    t.strictSame(await on(opsHost, host), bothAre(24_110), `${opsHost} and ${host}`)
  }
  for (const [host, opsHost] of [
    ['127.0.0.1', '::1'],
    ['127.0.0.1', '10.1.2.3'],
    ['localhost', '10.1.2.3'],
    ['::1', '0.0.0.0'],
    ['cache.internal', '10.1.2.3'],
  ] as const)
    t.strictSame(await on(host, opsHost), [], `${host} and ${opsHost}`)
})

t.test('serve does not start', async (t) => {
  const environment = { PORT: '24110', OPS_PORT: '24110', LOG_LEVEL: 'silent' }
  await t.rejects(commandRun(serve, { environment, stop: AbortSignal.abort() }), {
    name: 'ConfigError',
    faults: bothAre(24_110),
  })
})

t.test('a client of one listener does not ask for the other port', async (t) => {
  const { url } = await fakeListener(t, () => ({ value: 1 }))
  const { port } = new URL(url)
  const { code } = await commandRun(get, { positionals: ['k'], environment: { PORT: port, OPS_PORT: port } })
  t.equal(code, 0)
})
