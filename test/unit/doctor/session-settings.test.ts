import type pg from 'pg'
import t from 'tap'
import { cureOfSetting } from '../../../src/tools/doctor/session-settings.js'

const usual = { source: 'database', role: 'app user', database: 'db', for_role: null, in_database: null }

/** Returns the cure for a setting that was made at this place. */
function curedAt(place: Partial<Record<keyof typeof usual, unknown>> | undefined) {
  const client = { query: async () => ({ rows: place === undefined ? [] : [{ ...usual, ...place }] }) }
  return cureOfSetting(client as unknown as pg.Client, 'lock_timeout', {
    variable: 'DATABASE_URL',
    value: '0',
  })
}

t.test('a setting is reset where it was made', async (t) => {
  const run = (sql: string) => `run as a superuser: ${sql}`
  t.equal(await curedAt(undefined), 'reset lock_timeout')
  t.equal(
    await curedAt({ source: 'client' }),
    'remove lock_timeout from the options of DATABASE_URL, or from PGOPTIONS',
  )
  t.equal(await curedAt({ source: 'command line' }), 'start the server without -c lock_timeout')
  t.equal(await curedAt({}), run('alter system set lock_timeout = 0; select pg_reload_conf()'))
  t.equal(
    await curedAt({ for_role: true, in_database: false }),
    run('alter role "app user" reset lock_timeout'),
  )
  t.equal(
    await curedAt({ for_role: true, in_database: true }),
    run('alter role "app user" in database "db" reset lock_timeout'),
  )
  t.equal(
    await curedAt({ for_role: false, in_database: true }),
    run('alter database "db" reset lock_timeout'),
  )
  t.equal(await curedAt({ for_role: false, in_database: false }), run('alter role all reset lock_timeout'))
})
