import t from 'tap'
import type { Config } from '../../../src/config/config.js'
import { ConfigError } from '../../../src/config/config-error.js'
import { ConfigReload } from '../../../src/config/config-reload.js'
import type { Environment } from '../../../src/config/environment.js'
import { loadConfig } from '../../../src/config/load.js'

/** A reload over an environment that the test changes, with all that it did. */
function reloading() {
  let environment: Environment = {}
  const told: string[] = []
  const applied: Config[] = []
  const tell = (fields: object, message: string) => told.push(`${message} ${JSON.stringify(fields)}`)
  const reload = new ConfigReload(loadConfig({}).config, {
    load: () => loadConfig(environment),
    warned: [],
    apply: (config) => applied.push(config),
    log: { info: tell, warn: tell, error: tell },
  })
  const now = (next: Environment) => {
    environment = next
  }
  return { reload, applied, now, told: () => told.splice(0) }
}

t.test('a reloadable setting takes effect and is logged with its old value', async (t) => {
  const { reload, applied, now, told } = reloading()
  now({ CACHE_CAPACITY: '5', LOG_LEVEL: 'warn' })
  reload.fileTouched()
  t.match(applied, [{ capacity: 5, logLevel: 'warn', ttlSeconds: 60 }])
  t.same(told(), [
    'settings reloaded {"changed":{"CACHE_CAPACITY":{"from":1000,"to":5},"LOG_LEVEL":{"from":"info","to":"warn"}}}',
  ])
  reload.fileTouched()
  t.same(told(), [], 'nothing is said of nothing')
  reload.asked()
  t.same(told(), ['settings reloaded {"changed":{}}'], 'unless somebody asked')
  t.equal(applied.length, 1)
})

t.test('a file that is touched before it has changed brings no news', async (t) => {
  const { reload, applied, told } = reloading()
  reload.fileTouched()
  t.same(told(), [])
  t.same(applied, [])
})

t.test('a setting that needs a restart is named at every reload and has no effect', async (t) => {
  const { reload, applied, now, told } = reloading()
  now({ CACHE_CAPACITY: '5', PORT: '1', DATABASE_URL: 'postgres://u:secret@h/d?sslmode=disable' })
  reload.fileTouched()
  t.match(applied, [{ capacity: 5, port: 8025, databaseUrl: /127\.0\.0\.1/ }])
  const lines = told()
  t.match(lines.slice(1), [
    /^PORT has changed and takes effect only after a restart/,
    /^DATABASE_URL .* restart/,
    /^DATABASE_LISTEN_URL .* restart/,
  ])
  t.notMatch(lines.join(), 'secret')
  reload.asked()
  t.equal(told().length, 4)
  now({ CACHE_CAPACITY: '5' })
  reload.fileTouched()
  t.same(told(), ['settings reloaded {"changed":{}}'], 'until it is as it was')
})

t.test('an invalid file changes nothing, not even its valid part, and is logged once', async (t) => {
  const { reload, applied, now, told } = reloading()
  now({ CACHE_CAPACITY: '5', CACHE_TTL_SECONDS: 'soon' })
  reload.fileTouched()
  reload.fileTouched()
  t.match(told(), [/invalid settings.*CACHE_TTL_SECONDS: must be/])
  reload.asked()
  t.equal(told().length, 1, 'and to everybody who asks')
  t.same(applied, [])
  now({ CACHE_CAPACITY: '5' })
  reload.fileTouched()
  t.match(applied, [{ capacity: 5 }], 'corrected')
})

t.test('an internal error is not reported as an error of the file', async (t) => {
  const failure = new TypeError('a mistake of ours')
  const broken = new ConfigReload(loadConfig({}).config, {
    load: () => {
      throw failure
    },
    apply: () => undefined,
    warned: [],
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  })
  t.throws(() => broken.asked(), failure)
  t.ok(new ConfigError('a').faults.length === 1)
})

t.test('a warning is logged once, and again if its cause comes back', async (t) => {
  const { reload, now, told } = reloading()
  const unencrypted = { DATABASE_URL: 'postgres://u:secret@h/d' }
  const warnings = () => told().filter((line) => /not encrypted/.test(line)).length
  for (const [environment, count] of [
    [unencrypted, 1],
    [unencrypted, 0],
    [{}, 0],
    [unencrypted, 1],
  ] as const) {
    now(environment)
    reload.asked()
    t.equal(warnings(), count)
  }
})
