import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ConfigError } from '../../../src/config/config-error.js'
import { describeSettings } from '../../../src/config/describe-settings.js'
import type { Environment } from '../../../src/config/environment.js'
import { type LoadOptions, loadConfig } from '../../../src/config/load.js'

function file(t: Test, text: string, name = 'settings.yaml'): string {
  const path = join(t.testdir(), name)
  writeFileSync(path, text)
  return path
}

/** Returns the errors that loading reports. */
function faultsOf(environment: Environment, options?: LoadOptions): readonly string[] {
  try {
    loadConfig(environment, options)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

const flags = (given: Record<string, string>) => ({ flags: new Map(Object.entries(given)) })

t.test('the times of the shutdown have bounds', async (t) => {
  for (const [variable, least, most] of [
    ['CACHE_SHUTDOWN_DELAY_MS', 0, 3_600_000],
    ['CACHE_SHUTDOWN_TIMEOUT_MS', 100, 3_600_000],
  ] as const) {
    for (const value of [least, most])
      t.strictSame(faultsOf({ [variable]: String(value) }), [], `${variable} ${value}`)
    for (const value of [least - 1, most + 1])
      t.equal(faultsOf({ [variable]: String(value) }).length, 1, `${variable} ${value}`)
  }
})

t.test(
  'flags take precedence over the environment, that over the file, and that over the defaults',
  async (t) => {
    const path = file(t, 'CACHE_CAPACITY: 1\nCACHE_TTL_SECONDS: 2\nDATABASE_POOL_SIZE: 3\nOPS_HOST: "::"\n')
    const environment = { CACHE_CONFIG_FILE: path, CACHE_CAPACITY: '10', CACHE_TTL_SECONDS: '20' }
    const { config, sources } = loadConfig(environment, {
      ...flags({ 'cache-capacity': '100', sample: '1' }),
      defaults: { DATABASE_POOL_SIZE: '30', LOG_LEVEL: 'warn' },
    })
    t.match(config, {
      capacity: 100,
      ttlSeconds: 20,
      databasePoolSize: 3,
      opsHost: '::',
      logLevel: 'warn',
      port: 8025,
    })
    t.match(sources, {
      capacity: 'flag',
      ttlSeconds: 'environment',
      databasePoolSize: 'file',
      logLevel: 'default',
      port: 'default',
    })
  },
)

t.test('a flag can name the configuration file', async (t) => {
  const path = file(t, 'CACHE_CAPACITY: 7')
  const { config } = loadConfig({ CACHE_CONFIG_FILE: '/nowhere' }, flags({ 'cache-config-file': path }))
  t.match(config, { capacity: 7, configFile: path })
})

t.test('a configuration file is JSON, YAML, or empty', async (t) => {
  const read = (text: string, name?: string) => loadConfig({ CACHE_CONFIG_FILE: file(t, text, name) }).config
  const wanted = { capacity: 5, ttlSeconds: 0.5, shutdownEndpoint: true, logLevel: 'warn' }
  const json = JSON.stringify({
    CACHE_CAPACITY: 5,
    CACHE_TTL_SECONDS: 0.5,
    CACHE_SHUTDOWN_ENDPOINT: true,
    LOG_LEVEL: 'warn',
  })
  t.match(read(json, 'settings.json'), wanted)
  t.match(read(json, 'settings'), wanted, 'JSON is YAML')
  t.match(
    read('CACHE_CAPACITY: 5 # few\nCACHE_TTL_SECONDS: 0.5\nCACHE_SHUTDOWN_ENDPOINT: on\nLOG_LEVEL: warn\n'),
    wanted,
  )
  t.same(read('# nothing\n'), { ...loadConfig({}).config, configFile: read('').configFile })
  t.match(read('CACHE_CAPACITY:\nLOG_LEVEL: ""\n'), { capacity: 1_000, logLevel: 'info' }, 'empty: unset')
})

t.test('the page is on, and can be turned off', async (t) => {
  t.match(loadConfig({}).config, { hasPage: true, pageKeys: 'on' })
  t.match(loadConfig({ CACHE_UI: 'off', CACHE_UI_KEYS: 'hash' }).config, { hasPage: false, pageKeys: 'hash' })
  t.equal(loadConfig({ CACHE_UI_VALUES: 'on' }).config.showsValues, true)
  t.equal(loadConfig({}).config.showsValues, false)
  t.equal(loadConfig({}).config.hasPageWrites, false)
  t.equal(loadConfig({ CACHE_UI_WRITE: 'on', CACHE_API_TOKEN: 'secret' }).config.hasPageWrites, true)
  t.equal(loadConfig({ CACHE_UI_WRITE: 'on', CACHE_API_TOKEN_FILE: '/token' }).config.hasPageWrites, true)
  t.match(faultsOf({ CACHE_UI_WRITE: 'on' }), [
    /^CACHE_UI_WRITE: on needs CACHE_API_TOKEN or CACHE_API_TOKEN_FILE/,
  ])
  t.match(faultsOf({ CACHE_UI_VALUES: 'hash' }), [/^CACHE_UI_VALUES: must be one of on, off/])
  t.equal(loadConfig({ CACHE_FLEET_INTERVAL_MS: '0' }).config.fleetIntervalMs, 0)
  t.match(faultsOf({ CACHE_FLEET_INTERVAL_MS: '-1' }), [/^CACHE_FLEET_INTERVAL_MS: must be a whole number/])
  t.match(faultsOf({ CACHE_UI_KEYS: 'off' }), [/^CACHE_UI_KEYS: must be one of on, hash/])
})

t.test('an empty text counts as unset in every source', async (t) => {
  const { config } = loadConfig({ CACHE_CAPACITY: '5' }, flags({ 'cache-capacity': '' }))
  t.equal(config.capacity, 5)
  t.equal(loadConfig({ CACHE_CAPACITY: '', CACHE_CONFIG_FILE: '' }).config.capacity, 1_000)
})

t.test('all errors are reported together, each under the name used in its source', async (t) => {
  const path = file(t, 'CACHE_CAPACITY: "5"\nCACHE_SHUTDOWN_ENDPOINT: 1\nLOG_LEVEL: [info]\nHOST: {a: 1}\n')
  t.same(faultsOf({ CACHE_CONFIG_FILE: path, PORT: '-1' }, flags({ 'cache-ttl-seconds': 'soon' })), [
    `HOST in ${path}: must be a string, not a map`,
    'PORT: must be a whole number from 0 to 65535, not "-1"',
    `CACHE_CAPACITY in ${path}: must be a number, not a string`,
    '--cache-ttl-seconds: must be a number of seconds, 0 or more, not "soon" (0: no local expiry)',
    `CACHE_SHUTDOWN_ENDPOINT in ${path}: must be true or false, not a number`,
    `LOG_LEVEL in ${path}: must be a string, not a list`,
  ])
})

t.test('an unusable file is refused', async (t) => {
  const faults = (text: string, name?: string) => faultsOf({ CACHE_CONFIG_FILE: file(t, text, name) }).join()
  t.match(faultsOf({ CACHE_CONFIG_FILE: '/nowhere' }), [
    /^CACHE_CONFIG_FILE \/nowhere: cannot be read: ENOENT/,
  ])
  t.match(faults('PORT: 1\nHOST: "secret'), /^CACHE_CONFIG_FILE .*: is not YAML \(line 2: .+\)$/)
  t.match(
    faults('{"PORT": 1,\n "HOST": secret}', 'a.json'),
    /^CACHE_CONFIG_FILE .*: is not JSON( \(line 2\))?$/,
  )
  t.match(faults('{"PORT": 1\n "HOST": "a"}', 'a.json'), /is not JSON \(line 2\)$/)
  t.match(faults('\n{"PORT": 1\n "HOST": "a"}', 'a.json'), /is not JSON \(line 3\)$/)
  t.match(faults('{', 'a.json'), /is not JSON( \(line 1\))?$/)
  t.match(faults('PORT: 1\nPORT: 2'), /is not YAML \(line 2: duplicate key\)/)
  t.match(faults('PORT: 1\n---\nHOST: a\n'), /is not YAML \(line 2: multiple docs\)/, 'where it begins')
  t.match(faults('- PORT'), /must be a single map/)
  t.match(faults('secret'), /must be a single map/)
  t.match(faults('CACHE_CONFIG_FILE: other.yaml'), /a configuration file cannot name another/)
})

t.test('secrets appear in no message and in no output', async (t) => {
  const texts = [
    'DATABASE_URL: "postgres://u:hunter2@h/d?password=hunter2',
    'DATABASE_URL: mysql://u:hunter2@h/d',
    'DATABASE_URL: [hunter2]',
    'DATABASE_URL: &hunter2\n- a\n*hunter2 :',
    'hunter2: @',
  ]
  for (const name of ['a.yaml', 'a.json']) {
    for (const text of texts) {
      const faults = faultsOf({ CACHE_CONFIG_FILE: file(t, text, name) })
      t.ok(faults.length > 0, text)
      t.notMatch(faults.join(), 'hunter2')
    }
  }
  const loaded = loadConfig({
    CACHE_CONFIG_FILE: file(t, 'DATABASE_URL: postgres://u:hunter2@h/d?application_name=hunter2'),
  })
  t.match(loaded.config.databaseListenUrl, 'hunter2')
  t.notMatch(JSON.stringify(describeSettings(loaded)), 'hunter2')
})

t.test('an unknown setting causes a warning that names the nearest one', async (t) => {
  const path = file(t, 'CACHE_CAPACTIY: 5\nLOG_LEVLE: warn\nfrobnication: 1\n')
  t.same(loadConfig({ CACHE_CONFIG_FILE: path, CACHE_TTL_SECOND: '1', LOG_LEVLE: 'theirs' }).warnings, [
    'CACHE_TTL_SECOND is not a setting and has no effect; did you mean CACHE_TTL_SECONDS?',
    `CACHE_CAPACTIY in ${path} is not a setting and has no effect; did you mean CACHE_CAPACITY?`,
    `LOG_LEVLE in ${path} is not a setting and has no effect; did you mean LOG_LEVEL?`,
    `frobnication in ${path} is not a setting and has no effect`,
  ])
})

t.test('times to live by prefix are parsed and checked', async (t) => {
  const rules = (text: string) => loadConfig({ CACHE_TTL_RULES: text }).config.ttlRules
  t.same(rules('user:=30, a=b==0.5 ,static:=0'), [
    { prefix: 'user:', seconds: 30 },
    { prefix: 'a=b=', seconds: 0.5 },
    { prefix: 'static:', seconds: 0 },
  ])
  for (const wrong of ['user:', '=30', 'user:=', 'user:=x', 'a=1,,b=2', 'a=1,a=2'])
    t.match(faultsOf({ CACHE_TTL_RULES: wrong }), [/^CACHE_TTL_RULES: /], wrong)
  const shown = describeSettings(loadConfig({ CACHE_TTL_RULES: 'user:=30, static:=0' }))
  t.match(
    shown.filter(({ variable }) => variable === 'CACHE_TTL_RULES'),
    [{ value: 'user:=30,static:=0', default: null }],
  )
})

t.test('CACHE_WARM is parsed and checked', async (t) => {
  const warm = (text: string) => loadConfig({ CACHE_WARM: text, CACHE_STATE_DIR: '/state' }).config.warm
  t.same(loadConfig({}).config.warm, { kind: 'off' })
  t.same(warm('hot'), { kind: 'hot' })
  t.same(warm('recent:1000'), { kind: 'recent', count: 1_000 })
  t.same(warm('file:/etc/a: b'), { kind: 'file', path: '/etc/a: b' })
  for (const wrong of ['on', 'recent', 'recent:', 'recent:0', 'recent:-1', 'recent:1.5', 'file:', 'hot:1'])
    t.match(faultsOf({ CACHE_WARM: wrong }), [/^CACHE_WARM: must be off, recent:N/], wrong)
  t.match(faultsOf({ CACHE_WARM: 'hot', PORT: 'x' }), [
    /^PORT: /,
    /^CACHE_WARM: .* CACHE_STATE_DIR.* not set$/,
  ])
  for (const text of ['off', 'recent:5', 'file:/keys']) {
    const shown = describeSettings(loadConfig({ CACHE_WARM: text }))
    t.match(
      shown.filter(({ variable }) => variable === 'CACHE_WARM'),
      [{ value: text, default: 'off' }],
    )
  }
})

t.test('an unknown setting names the one that was probably meant', async (t) => {
  const warned = (name: string) => loadConfig({ [name]: '1' }).warnings
  t.strictSame(warned('CACHE_CAPAXXXX'), [
    'CACHE_CAPAXXXX is not a setting and has no effect; did you mean CACHE_CAPACITY?',
  ])
  t.strictSame(warned('CACHE_CXXXXXXX'), ['CACHE_CXXXXXXX is not a setting and has no effect'])
})
