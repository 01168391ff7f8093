import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { ConfigError } from '../../../src/config/config-error.js'
import { describeSettings } from '../../../src/config/describe-settings.js'
import type { Environment } from '../../../src/config/environment.js'
import { loadConfig } from '../../../src/config/load.js'
import { readApiToken } from '../../../src/config/read-api-token.js'
import { currentUrl } from '../../../src/connection-url/connection-source.js'

function faultsOf(environment: Environment, flags: Record<string, string> = {}): readonly string[] {
  try {
    loadConfig(environment, { flags: new Map(Object.entries(flags)) })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

t.test('a file that cannot be used is refused', async (t) => {
  const folder = t.testdir({
    empty: '',
    wrong: 'postgres://app:#s3cret@host/db',
    url: 'postgres://app@host/db',
  })
  const at = (name: string) => join(folder, name)
  for (const variable of ['DATABASE_URL_FILE', 'DATABASE_LISTEN_URL_FILE', 'DATABASE_READ_URL_FILE']) {
    t.match(faultsOf({ [variable]: at('missing') }), [new RegExp(`^${variable}: .*missing: cannot be read`)])
    t.match(faultsOf({ [variable]: at('empty') }), [new RegExp(`^${variable}: .*empty: is empty`)])
    t.match(faultsOf({ [variable]: at('wrong') }), [new RegExp(`^${variable}: .*percent-encode`)])
    const other = variable.replace('_FILE', '')
    t.match(faultsOf({ [variable]: at('url'), [other]: 'postgres://host/db' }), [
      `${variable}: cannot be set together with ${other}`,
    ])
  }
  t.match(faultsOf({ DATABASE_PASSWORD_FILE: at('missing') }), [/^DATABASE_PASSWORD_FILE: /])
})

t.test(
  'a file that would block the process is refused',
  { skip: process.platform === 'win32' },
  async (t) => {
    const fifo = join(t.testdir(), 'fifo')
    execFileSync('mkfifo', [fifo])
    for (const variable of ['DATABASE_URL_FILE', 'DATABASE_PASSWORD_FILE', 'CACHE_CONFIG_FILE'])
      t.match(faultsOf({ [variable]: fifo }), [/fifo: cannot be read: it is not a regular file/], variable)
    await t.rejects(readApiToken({ apiToken: undefined, apiTokenFile: fifo }), /it is not a regular file/)
  },
)

t.test('a flag that carries a secret is refused, with the reason', async (t) => {
  const url = 'postgres://app:s3cret@host/db'
  for (const [flag, text] of Object.entries({
    'cache-api-token': 's3cret-token',
    'database-url': url,
    'database-listen-url': 'postgres://host/db?user=app&password=s3cret',
    'database-read-url': `postgres://a/db,${url}`,
  })) {
    const faults = faultsOf({}, { [flag]: text })
    t.match(faults, [new RegExp(`^--${flag}: contains a secret, and every user .*_FILE$`)])
    t.notMatch(faults.join(), 's3cret')
  }
  t.same(faultsOf({}, { 'database-url': 'postgres://app@127.0.0.1/db' }), [])
})

t.test('there is one warning if no setting says whether connections are encrypted', async (t) => {
  const warnings = (environment: Environment) => loadConfig(environment).warnings
  const url = 'postgres://app:pw@db.internal/db'
  t.match(warnings({ DATABASE_URL: url, DATABASE_LISTEN_URL: url }), [
    /^the connection to db\.internal is not encrypted/,
  ])
  t.match(warnings({ DATABASE_URL: url, DATABASE_READ_URL: 'postgres://replica/db' }), [
    /db\.internal, replica/,
  ])
  for (const quiet of [
    {},
    { DATABASE_URL: `${url}?sslmode=disable` },
    { DATABASE_URL: `${url}?sslmode=verify-full` },
    { DATABASE_URL: 'postgres://app@[::1]/db' },
    { DATABASE_URL: 'postgres://app:pw@/db?host=/cloudsql/a' },
    { DATABASE_URL: url, PGSSLMODE: 'disable' },
  ])
    t.same(warnings(quiet), [])
})

t.test('only the name of a secret file is shown', async (t) => {
  const folder = t.testdir({ url: 'postgres://app:s3cret@127.0.0.1/db', password: 's3cret' })
  const shown = (environment: Environment) =>
    JSON.stringify(describeSettings(loadConfig(environment)).map(({ variable, value }) => [variable, value]))
  const both = { DATABASE_URL_FILE: join(folder, 'url'), DATABASE_PASSWORD_FILE: join(folder, 'password') }
  t.match(shown(both), JSON.stringify(['DATABASE_URL', pathToFileURL(both.DATABASE_URL_FILE).href]))
  t.notMatch(shown(both), 's3cret')
})

t.test('several hosts are refused in every URL, also in one from a file', async (t) => {
  const url = 'postgresql://app:pw@a:5432,b:5432/db?target_session_attrs=read-write'
  const file = join(t.testdir({ url }), 'url')
  for (const variable of ['DATABASE_URL', 'DATABASE_LISTEN_URL', 'DATABASE_READ_URL']) {
    t.match(faultsOf({ [variable]: url }), [new RegExp(`^${variable}: names several hosts; name one`)])
    t.match(faultsOf({ [`${variable}_FILE`]: file }), [new RegExp(`^${variable}_FILE: names several hosts`)])
  }
})

t.test('the password file is for every URL without a password, from wherever it comes', async (t) => {
  const folder = t.testdir({
    password: 's3cret',
    url: 'postgres://app@127.0.0.1/one',
    replicas: 'postgres://app@127.0.0.1/two postgres://app:own@127.0.0.1/three',
  })
  const { config } = loadConfig({
    DATABASE_URL_FILE: join(folder, 'url'),
    DATABASE_LISTEN_URL: 'postgres://app@127.0.0.1/listen',
    DATABASE_READ_URL_FILE: join(folder, 'replicas'),
    DATABASE_PASSWORD_FILE: join(folder, 'password'),
  })
  const { databaseUrl, databaseListenUrl, databaseReadUrls } = config
  const namesFile = new RegExp(`\\?password_file=${encodeURIComponent(join(folder, 'password'))}$`)
  t.match(currentUrl(databaseUrl), namesFile)
  t.match(databaseListenUrl, /\/listen\?/)
  t.match(databaseListenUrl, namesFile)
  const [two = '', three = '', ...others] = databaseReadUrls
  t.match(currentUrl(two), namesFile)
  t.equal(currentUrl(three), 'postgres://app:own@127.0.0.1/three')
  t.strictSame(others, [])
})

t.test('without a URL of its own, LISTEN uses the URL of the statements, and its file', async (t) => {
  const file = join(t.testdir({ url: 'postgres://app:pw@127.0.0.1/db' }), 'url')
  const { config } = loadConfig({ DATABASE_URL_FILE: file })
  t.equal(config.databaseListenUrl, config.databaseUrl)
  t.equal(currentUrl(config.databaseListenUrl), 'postgres://app:pw@127.0.0.1/db')
  const listen = 'postgres://app@127.0.0.1/listen'
  t.equal(loadConfig({ DATABASE_URL: listen }).config.databaseListenUrl, listen)
  t.equal(
    loadConfig({ DATABASE_URL_FILE: file, DATABASE_LISTEN_URL: listen }).config.databaseListenUrl,
    listen,
  )
})
