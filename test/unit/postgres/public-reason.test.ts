import pg from 'pg'
import t from 'tap'
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
