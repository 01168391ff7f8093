import pg from 'pg'
import t from 'tap'
import { CacheError, PublicError } from '../../../src/core/errors.js'
import { cureOf, failure, stateOf } from '../../../src/tools/doctor/failure.js'

/** An error of the server, below that of the statement. */
function serverError(code: string, message = 'm', more: Partial<pg.DatabaseError> = {}): Error {
  const error = Object.assign(new pg.DatabaseError(message, 0, 'error'), { code, ...more })
  return new CacheError('store-failed', 'the statement failed', { cause: error })
}

const curedBy = (error: unknown, role?: string) => cureOf('DATABASE_URL', error, role)

t.test('a failure has the reason and the SQLSTATE of the server', async (t) => {
  t.strictSame(failure('writes', 'DATABASE_URL', serverError('53100', 'no space left')), {
    check: 'writes',
    ok: false,
    level: 'bad',
    says: 'no space left (SQLSTATE 53100)',
    cure: "free disk space on the server: the server's log names the file system",
  })
  t.equal(failure('writes', 'DATABASE_URL', new Error('no answer')).says, 'no answer')
  t.equal(stateOf(serverError('53100')), '53100')
  t.equal(stateOf(new Error('no answer')), undefined)
})

t.test('each SQLSTATE that may come has its cure', async (t) => {
  for (const [code, cure] of Object.entries({
    '25006': /a primary that accepts writes/,
    '25P04': /raise transaction_timeout/,
    '3D000': /^create the database, or name another one in DATABASE_URL$/,
    '42P01': /caching-layer migrate/,
    '42501': /least-privilege.sql/,
    '53100': /disk space/,
    '53200': /more memory/,
    '53300': /max_connections/,
    '55000': /replica identity/,
    '55P03': /holds the lock/,
    '57014': /statement_timeout/,
    '28P01': /^correct user and password in DATABASE_URL/,
    '28000': /pg_hba.conf$/,
    XX000: /^check DATABASE_URL, and look at the server's log$/,
  }))
    t.match(curedBy(serverError(code)), cure, code)
})

t.test('an address that leads nowhere is corrected', async (t) => {
  for (const code of ['ENOTFOUND', 'EAI_AGAIN'])
    t.match(curedBy(Object.assign(new Error('m'), { code })), /^no such host: .* DATABASE_URL$/)
  for (const error of [Object.assign(new Error('m'), { code: 'ECONNREFUSED' }), new Error('x ECONNREFUSED')])
    t.match(curedBy(error), /^nothing listens there: .* DATABASE_URL$/)
})

t.test('a refused login is cured by what the message names, in any language', async (t) => {
  const noLogin = (message: string) =>
    curedBy(serverError('28000', message, { routine: 'InitializeSessionUserId' }))
  for (const message of ['role "a b" is not permitted to log in', 'Rolle »a b« hat keine Berechtigung'])
    t.equal(noLogin(message), 'run as a superuser: alter role "a b" login')
  t.match(noLogin('role "a" does not exist'), /^correct user and password/)
  t.match(noLogin('no name'), /^correct user and password/)
  const database = { routine: 'CheckMyDatabase' }
  t.equal(
    curedBy(serverError('55000', 'database "d" is not currently accepting connections', database)),
    'run as a superuser: alter database "d" allow_connections true',
  )
  const denied = serverError('42501', 'permission denied for database "d"', database)
  t.equal(curedBy(denied, 'app'), 'run as the owner of the database: grant connect on database "d" to "app"')
  t.match(curedBy(denied), /least-privilege/)
  t.match(
    curedBy(new PublicError('no password: see ~/.pgpass')),
    /^correct DATABASE_URL as the message says$/,
  )
})

t.test('what a message names is only the cure if PostgreSQL says it of the login', async (t) => {
  const named = (code: string, routine: string) =>
    curedBy(serverError(code, 'something about "x"', { routine }), 'app')
  t.match(named('28000', 'auth_failed'), /^correct user and password/)
  t.match(named('28P01', 'InitializeSessionUserId'), /^correct user and password/)
  t.match(named('55000', 'CheckRelation'), /replica identity/)
  t.match(named('42501', 'aclcheck_error'), /least-privilege/)
  t.match(named('53300', 'CheckMyDatabase'), /^raise max_connections/)
  for (const code of ['55000', '42501'])
    t.notMatch(curedBy(serverError(code, 'no name', { routine: 'CheckMyDatabase' }), 'app'), /^run as/, code)
})

t.test('a failure of TLS names the parameters of the URL', async (t) => {
  for (const message of [
    'self-signed certificate in certificate chain',
    'unable to verify the first certificate',
    "Hostname/IP does not match certificate's altnames",
  ])
    t.equal(
      curedBy(new Error(message)),
      'name the authority that signed the certificate as sslrootcert in DATABASE_URL, ' +
        'and a host that is in the certificate',
    )
  t.equal(
    curedBy(new Error('The server does not support SSL connections')),
    "set ssl = on in the server's settings, or remove sslmode from DATABASE_URL",
  )
})
