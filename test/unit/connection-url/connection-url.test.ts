import t from 'tap'
import { isLocal, parseConnectionUrl, statesEncryption } from '../../../src/connection-url/connection-url.js'
import { redactUrl } from '../../../src/connection-url/redact-url.js'

const faultOf = (text: string): string => {
  try {
    parseConnectionUrl(text)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

/** Returns the parts of a URL that are not empty. */
const partsOf = (text: string) => {
  const { parameters: _, ...parts } = parseConnectionUrl(text)
  return Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== ''))
}

t.test('URLs that the driver accepts are accepted', async (t) => {
  const host = '/cloudsql/project:region:instance'
  for (const [text, parts] of [
    [`postgresql://app:pw@/db?host=${host}`, { user: 'app', password: 'pw', host, database: 'db' }],
    ['postgres:///db?host=/tmp', { host: '/tmp', database: 'db' }],
    ['postgres://app@', { user: 'app' }],
    ['postgres://app@/db', { user: 'app', database: 'db' }],
    [
      'postgres://app:p%40%2F%23%20@[fd00::1]:6432/d%20b?sslmode=verify-full',
      { user: 'app', password: 'p@/# ', host: 'fd00::1', port: '6432', database: 'd b' },
    ],
    ['postgres://app:a@b@host/db', { user: 'app', password: 'a@b', host: 'host', database: 'db' }],
    [
      'postgres://app@host/db?password=a@b?c&application_name=x',
      { user: 'app', password: 'a@b?c', host: 'host', database: 'db' },
    ],
    ['postgres://host', { host: 'host' }],
    ['postgres://a,b:p,@host/d,b', { user: 'a,b', password: 'p,', host: 'host', database: 'd,b' }],
    ['postgres:///d,b', { database: 'd,b' }],
    ['postgres://host/d/b', { host: 'host', database: 'd/b' }],
  ] as const)
    t.strictSame(partsOf(text), parts, text)
})

t.test('a password that is not encoded is refused, and shown nowhere', async (t) => {
  for (const password of [
    '#s3cret',
    '12/s3cret',
    's3cret word',
    '12?s3cret',
    's3/cr3t',
    '1#s3cret',
    's3cret%',
    's3@c/r3t',
    's3@c/r/3t',
    '1?password=s3cret',
  ]) {
    for (const rest of ['host/db', 'host:5432/db?sslmode=require']) {
      const text = `postgresql://app:${password}@${rest}`
      t.match(faultOf(text), /percent-encode @ \/ # and space|not percent-encoded/, text)
      t.notMatch(faultOf(text), /s3|r3t/)
      t.notMatch(redactUrl(text), /s3|r3t|word/, text)
      t.match(redactUrl(text), /^postgresql:\/\/app@host/)
    }
  }
  t.notMatch(redactUrl('postgres://host/db?password=s3@cret'), /s3|cret/)
  t.notMatch(redactUrl('postgres://app:x@host/db?password=s3@cret'), /s3|password/)
  t.equal(redactUrl('postgresql://u:p@h:5432/d?x=y'), 'postgresql://u@h:5432/d')
})

t.test('a URL without a user, and a text that is no URL, are shown without secrets, too', async (t) => {
  t.equal(redactUrl('postgresql://h:5432/d?password=s3cret'), 'postgresql://h:5432/d')
  t.equal(redactUrl('postgresql://h/d#s3cret'), 'postgresql://h/d')
  t.equal(redactUrl('postgres://h/d?password=s3@cret'), 'postgres://***@***')
  t.equal(redactUrl('s3cret'), '')
})

t.test('several hosts are refused with a clear message', async (t) => {
  for (const text of [
    'postgresql://app:pw@a:5432,b:5432/db?target_session_attrs=read-write',
    'postgresql://a,b/db',
    'postgresql://app@,b/db',
    'postgresql:///db?host=a,b',
  ])
    t.match(faultOf(text), /^names several hosts/, text)
})

t.test('parameters without an effect are refused by name', async (t) => {
  const said: Readonly<Record<string, RegExp>> = {
    'schema=app': /^schema is not supported by this driver: set it with options=/,
    'search_path=app': /^search_path .* options=/,
    'target_session_attrs=read-write': /^target_session_attrs: /,
    'sslmod=verify-full': /^sslmod .*did you mean sslmode\?$/,
    'lock_timexyz=1': /^lock_timexyz is not a supported parameter; did you mean lock_timeout\?$/,
    'lock_uvwxyz=1': /^lock_uvwxyz is not a supported parameter$/,
    'sslmode=verify_full': /^sslmode: must be disable, /,
    'keepalives_idle=5': /^keepalives_idle is not a supported parameter/,
    'channel_binding=maybe': /^channel_binding: must be/,
    'connect_timeout=soon': /^connect_timeout: must be/,
    'client_encoding=latin1': /^client_encoding: must be UTF8/,
  }
  for (const [query, message] of Object.entries(said))
    t.match(faultOf(`postgresql://app:pw@host/db?${query}`), message, query)
  for (const query of [
    'connect_timeout=5',
    'channel_binding=require',
    'target_session_attrs=any',
    'options=-c%20a%3Db',
  ])
    t.equal(faultOf(`postgresql://app:pw@host/db?${query}`), '', query)
})

t.test('each parameter that the driver or this program knows is accepted, and no other', async (t) => {
  const values: Readonly<Record<string, string>> = {
    channel_binding: 'prefer',
    client_encoding: 'UTF-8',
    connect_timeout: '99999',
    sslmode: 'no-verify',
    target_session_attrs: 'any',
  }
  for (const name of [
    ...['host', 'port', 'user', 'password', 'application_name', 'options', 'client_encoding'],
    ...['statement_timeout', 'lock_timeout', 'query_timeout', 'idle_in_transaction_session_timeout'],
    ...['connect_timeout', 'channel_binding', 'target_session_attrs', 'ssl', 'sslmode', 'sslcert', 'sslkey'],
    ...['sslrootcert', 'sslnegotiation', 'uselibpqcompat', 'password_file'],
  ])
    t.equal(faultOf(`postgresql://app@host/db?${name}=${values[name] ?? 'x'}`), '', name)
  for (const sslmode of ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'])
    t.equal(faultOf(`postgresql://app@host/db?sslmode=${sslmode}`), '', sslmode)
  t.match(faultOf('postgresql://app@host/db?connect_timeout=100000'), /^connect_timeout: must be a whole/)
})

t.test('a parameter of another driver is refused with what to use instead', async (t) => {
  for (const [name, cure] of Object.entries({
    currentSchema: /options=-c%20search_path/,
    passfile: /PGPASSFILE/,
    pgbouncer: /remove it/,
    connection_limit: /DATABASE_POOL_SIZE/,
    pool_timeout: /DATABASE_TIMEOUT_MS/,
  }))
    t.match(faultOf(`postgresql://app@host/db?${name}=1`), cure, name)
})

t.test('a text that may be part of a password is not repeated', async (t) => {
  for (const name of ['s3cret', 'a', 'x'.repeat(41)])
    t.match(faultOf(`postgresql://app@host/db?${name}=1`), /^is not a valid URL, or its password/, name)
  t.match(faultOf(`postgresql://app@host/db?${'x'.repeat(40)}=1`), /^x{40} is not a supported parameter$/)
  t.match(faultOf('mysql://app@host/db'), /^must be a URL like postgresql:/)
  for (const port of ['port', '99999'])
    t.match(faultOf(`postgresql://app:pw@host:${port}/db`), /^is not a valid URL, or its password/, port)
  t.match(faultOf('postgresql://app:p%ff@host/db'), /^is not percent-encoded UTF-8/)
})

t.test('a parameter takes the place of the same part of the URL', async (t) => {
  t.match(parseConnectionUrl('postgresql://a:b@c:1/d?user=e&password=f&host=g&port=2'), {
    ...{ user: 'e', password: 'f', host: 'g', port: '2', database: 'd' },
  })
  t.match(parseConnectionUrl('postgresql://a:b@c:1/d?user=&password=&host=&port='), {
    ...{ user: 'a', password: 'b', host: 'c', port: '1' },
  })
})

t.test('only this machine is local', async (t) => {
  for (const host of ['', 'localhost', '::1', '/run/postgresql', '127.0.0.1', '127.1.2.3'])
    t.ok(isLocal({ host }), host)
  for (const host of ['db', '10.0.0.1', 'localhost.example', '1127.0.0.1', 'fd00::1'])
    t.notOk(isLocal({ host }), host)
})

t.test('each parameter of TLS says how a connection is encrypted', async (t) => {
  const states = (query: string) => statesEncryption(parseConnectionUrl(`postgresql://host/db${query}`))
  t.notOk(states(''))
  t.notOk(states('?connect_timeout=1'))
  for (const name of ['ssl', 'sslcert', 'sslkey', 'sslrootcert', 'sslnegotiation'])
    t.ok(states(`?${name}=x`), name)
  t.ok(states('?sslmode=disable'))
})
