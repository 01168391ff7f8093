import pg from 'pg'
import t from 'tap'
import { PublicError } from '../../../src/core/errors.js'
import { publicReason } from '../../../src/postgres/pool/public-reason.js'

t.test('each state that can prevent the feed has a reason that names nobody', async (t) => {
  for (const [code, reason] of [
    ['25006', 'the server is read-only'],
    ['28000', 'the role is not permitted to log in from here'],
    ['28P01', 'password authentication failed'],
    ['3D000', 'there is no such database'],
    ['42501', 'a right is missing: see the log, and run "caching-layer doctor"'],
    ['53300', 'too many connections'],
    ['55000', 'the server cannot do this in its present state, such as a standby in recovery'],
    ['57P01', 'the server was shut down'],
    ['57P02', 'the server has crashed'],
    ['57P03', 'the server is starting up or shutting down'],
  ] as const) {
    const error = Object.assign(new pg.DatabaseError('role "app" of host db', 0, 'error'), { code })
    t.equal(publicReason(error), `${reason} (SQLSTATE ${code})`)
  }
})

const seeLog = 'see the log, and run "caching-layer doctor"'

t.test('an unknown state is told by its number alone', async (t) => {
  const error = Object.assign(new pg.DatabaseError('role "app"', 0, 'error'), { code: '42P01' })
  t.equal(publicReason(error), `the database reported an error (SQLSTATE 42P01): ${seeLog}`)
  const none = Object.assign(new pg.DatabaseError('role "app"', 0, 'error'), { code: undefined })
  t.match(publicReason(none), /^the database reported an error/)
})

t.test('the reason is that of the cause, of the first address, or the public one', async (t) => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED' })
  const shown = 'no connection to the database: ECONNREFUSED'
  t.equal(publicReason(refused), shown)
  t.equal(publicReason(new Error('app@db failed', { cause: refused })), shown)
  t.equal(publicReason(new AggregateError([refused, new Error('another')], 'app@db')), shown)
  t.equal(publicReason(new AggregateError([], 'app@db')), seeLog)
  t.equal(publicReason(new PublicError('with the role "app"', 'without it')), 'without it')
})

t.test('the words of the driver are shown, and no other ones', async (t) => {
  for (const message of [
    'Connection terminated unexpectedly',
    'timeout expired',
    'Query read timeout',
    'The server does not support SSL connections',
  ])
    t.equal(publicReason(new Error(message)), message)
  t.equal(publicReason(new Error('the file /etc/secret is missing')), seeLog)
  t.equal(publicReason('/etc/secret'), seeLog)
  t.equal(publicReason(Object.assign(new Error('/etc/secret'), { code: 7 })), seeLog)
})

t.test('a failure of TLS is told without the names in the certificate', async (t) => {
  const error = Object.assign(new Error('Hostname does not match: db.internal'), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  })
  t.equal(publicReason(error), "the database's certificate is for another host name")
  const other = Object.assign(new Error('certificate has expired'), { code: 'CERT_HAS_EXPIRED' })
  t.equal(publicReason(other), 'no connection to the database: CERT_HAS_EXPIRED')
})
