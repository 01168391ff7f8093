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
async function foundFor(row: Partial<typeof durable> & { readonly source?: string }) {
  const sent: string[] = []
  const query = async (sql: string) => {
    sent.push(sql)
    return { rows: [{ ...durable, ...usual, ...row }] }
  }
  const findings = await lookAtSettings({ query } as unknown as pg.Client, 'DATABASE_URL')
  t.strictSame(sent.slice(0, 2), [
    'begin',
    "select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)",
  ])
  return findings
    .filter(({ level }) => level !== 'ok')
    .map(({ check, level, says, cure }) => [check, level, says, cure])
}

const set = (setting: string) => `run as a superuser: alter system set ${setting}; select pg_reload_conf()`

t.test('settings that may lose or refuse writes are found, and changed', async (t) => {
  t.strictSame(await foundFor({}), [])
  t.strictSame(await foundFor({ fsync: 'off' }), [
    [
      'fsync',
      'warning',
      'off: a crash of the machine can lose acknowledged writes, and damage the database',
      set('fsync = on'),
    ],
  ])
  t.match(await foundFor({ read_only: 'on' }), [
    ['read-only', 'bad', /^default_transaction_read_only is on/, set('default_transaction_read_only = off')],
  ])
  const commit = 'synchronous_commit'
  t.match(await foundFor({ commit: 'off' }), [
    [commit, 'bad', /^off: a crash of the server/, set('synchronous_commit = on')],
  ])
  t.match(await foundFor({ commit: 'local', standbys: 'a' }), [
    [commit, 'warning', /^local: a failover/, set('synchronous_commit = on')],
  ])
})

t.test('a setting of the options is removed from the URL that has them', async (t) => {
  const options = { source: 'client' }
  for (const [row, name] of [
    [{ commit: 'off' }, 'synchronous_commit'],
    [{ commit: 'local', standbys: 'a' }, 'synchronous_commit'],
    [{ read_only: 'on' }, 'default_transaction_read_only'],
  ] as const)
    t.match(await foundFor({ ...row, ...options }), [
      { 3: `remove ${name} from the options of DATABASE_URL, or from PGOPTIONS` },
    ])
})

t.test('a synchronous standby that is missing stops writes, unless they do not wait for it', async (t) => {
  const says = 'synchronous_standby_names is a, and no standby is connected: every write waits for one'
  t.strictSame(await foundFor({ standbys: 'a', connected_standbys: 0 }), [
    ['synchronous standby', 'bad', says, `start the standby, or ${set("synchronous_standby_names = ''")}`],
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
