import t from 'tap'
import { namingSettings } from '../../../src/sidecar/listening-error.js'

const settings = { host: 'HOST', port: 'PORT' }
const failing = (code: string, address = '127.0.0.1') =>
  Object.assign(new Error(`listen ${code}`), { code, address, port: 8025 })

t.test('an address that cannot be listened on is explained by its settings', async (t) => {
  for (const [code, message] of [
    ['EADDRINUSE', 'PORT: another process listens on 127.0.0.1:8025; choose another port (EADDRINUSE)'],
    ['EACCES', 'PORT: this user may not listen on 127.0.0.1:8025 (EACCES)'],
    ['EADDRNOTAVAIL', 'HOST: 127.0.0.1 is not an address of this machine (EADDRNOTAVAIL)'],
    ['ENOTFOUND', 'HOST: its name has no address (ENOTFOUND)'],
  ] as const) {
    const error = failing(code)
    t.throws(() => namingSettings(settings)(error), { message, cause: error })
  }
  t.throws(() => namingSettings(settings)(failing('EACCES', '::1')), { message: /listen on \[::1\]:8025/ })
  const other = failing('EMFILE')
  t.throws(() => namingSettings(settings)(other), other)
  t.throws(() => namingSettings({ socket: 'CACHE_SOCKET' })(other), {
    message: 'CACHE_SOCKET: listen EMFILE',
  })
})
