import type pg from 'pg'
import t from 'tap'
import { cureOfSetting, lookAtSettings, lookAtTimeouts } from '../../../src/tools/doctor/session-settings.js'

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

const durable = { commit: 'on', fsync: 'on', standbys: '', connected_standbys: 1, read_only: 'off' }

/** Returns the findings about settings of the server, without those that are in order. */
async function foundFor(row: Partial<typeof durable>) {
  const client = { query: async () => ({ rows: [{ ...durable, ...usual, ...row }] }) }
  const findings = await lookAtSettings(client as unknown as pg.Client, 'DATABASE_URL')
  return findings.filter(({ level }) => level !== 'ok').map(({ check, level, says }) => [check, level, says])
}

t.test('settings that may lose or refuse writes are found', async (t) => {
  t.strictSame(await foundFor({}), [])
  t.strictSame(await foundFor({ fsync: 'off' }), [
    ['fsync', 'warning', 'off: a crash of the machine can lose acknowledged writes, and damage the database'],
  ])
  t.match(await foundFor({ read_only: 'on' }), [['read-only', 'bad', /^default_transaction_read_only is on/]])
  t.match(await foundFor({ commit: 'off' }), [['synchronous_commit', 'bad', /^off: a crash of the server/]])
})

t.test('a synchronous standby that is missing stops writes, unless they do not wait for it', async (t) => {
  const says = 'synchronous_standby_names is a, and no standby is connected: every write waits for one'
  t.strictSame(await foundFor({ standbys: 'a', connected_standbys: 0 }), [
    ['synchronous standby', 'bad', says],
  ])
  t.strictSame(await foundFor({ standbys: 'a' }), [])
  t.strictSame(await foundFor({ connected_standbys: 0 }), [])
  for (const commit of ['off', 'local'])
    t.notOk(
      (await foundFor({ commit, standbys: 'a', connected_standbys: 0 })).some(
        ([check]) => check === 'synchronous standby',
      ),
      commit,
    )
})

/** Returns the findings about the timeouts of a listening session whose bound is 3 s. */
async function timeoutsOf(ms: number, options = '') {
  const sent: string[] = []
  const query = async (sql: string) => {
    sent.push(sql)
    return { rows: sql.includes('reset_val') ? [{ name: 'statement_timeout', ms }] : [usual] }
  }
  const url = `postgresql://host/db${options}`
  const client = { query } as unknown as pg.Client
  const findings = await lookAtTimeouts(client, 'DATABASE_LISTEN_URL', { url, maxStalenessMs: 3_000 })
  t.equal(sent[0], 'set statement_timeout = 0')
  return findings.map(({ check, level, says, cure }) => [check, level, says, cure])
}

t.test('a timeout of a listening session must leave room for its statements', async (t) => {
  for (const ms of [0, 1_500, 9_999]) t.strictSame(await timeoutsOf(ms), [], String(ms))
  const says = (ms: number) => `${ms} ms, but statements of the listening session may take 1500 ms`
  const cure = 'run as a superuser: alter system set statement_timeout = 0; select pg_reload_conf()'
  t.strictSame(await timeoutsOf(1_499), [['statement_timeout', 'warning', says(1_499), cure]])
  t.strictSame(await timeoutsOf(100), [['statement_timeout', 'warning', says(100), cure]])
  t.strictSame(await timeoutsOf(99), [['statement_timeout', 'bad', says(99), cure]])
  t.strictSame(await timeoutsOf(1, '?options=-c%20statement_timeout%3D1'), [
    ['statement_timeout', 'bad', says(1), 'remove statement_timeout from the options of DATABASE_LISTEN_URL'],
  ])
})
