import t from 'tap'
import { openHostWarning, refuseInheritedHost } from '../../../src/config/host-intent.js'
import { loadConfig } from '../../../src/config/load.js'

const check = (environment: Record<string, string>, flags: Record<string, string> = {}) => {
  const loaded = loadConfig(environment, { flags: new Map(Object.entries(flags)) })
  refuseInheritedHost(loaded)
  return openHostWarning(loaded.config)
}

t.test(
  'a HOST that is a name is refused unless a flag or another setting shows that it is intended',
  async (t) => {
    for (const HOST of ['build-7', 'x86_64-conda-linux-gnu', 'localhost.example'])
      t.throws(() => check({ HOST }), { message: new RegExp(`^HOST=${HOST} is a name`) }, HOST)
    const HOST = 'cache.internal'
    t.doesNotThrow(() => check({ HOST, CACHE_ALLOWED_HOSTS: HOST }))
    t.doesNotThrow(() => check({ HOST, CACHE_API_TOKEN: 'let-me-in' }))
    t.doesNotThrow(() => check({ HOST, CACHE_API_TOKEN_FILE: '/run/token' }))
    t.doesNotThrow(() => check({ HOST, CACHE_SOCKET: '/run/cache' }), 'it is not used')
    t.doesNotThrow(() => check({}, { host: HOST }), 'a flag is typed')
  },
)

t.test('an address that other hosts reach causes a warning unless a token is set', async (t) => {
  for (const HOST of ['0.0.0.0', '::', '10.1.2.3', 'fd00::1']) {
    t.match(check({ HOST }), new RegExp(`^HOST=${HOST}: everybody`), HOST)
    t.equal(check({ HOST, CACHE_API_TOKEN: 'let-me-in' }), undefined)
  }
  for (const HOST of [
    '',
    'localhost',
    'LocalHost.',
    '127.0.0.1',
    '127.1.2.3',
    '::1',
    '[::1]',
    '::ffff:127.0.0.1',
  ])
    t.equal(check({ HOST }), undefined, HOST)
  t.equal(check({ HOST: '0.0.0.0', CACHE_SOCKET: '/run/cache' }), undefined, 'it is not used')
})
