import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { ownServer } from '../../support/database.js'
import {
  asOwner,
  asRole,
  connected,
  examined,
  type Fault,
  summary,
  testFaults,
  withParameter,
} from '../../support/doctor-faults.js'
import { eventually } from '../../support/eventually.js'

const faults: Readonly<Record<string, Fault>> = {
  // --- Settings ---
  'a role that only reads': {
    sql: 'alter role $role set default_transaction_read_only = on',
    check: 'read-only',
    says: /no write is accepted/,
    cure: /alter role "\S+" reset default_transaction_read_only/,
  },
  'a database that is only read': {
    sql: 'alter database $database set default_transaction_read_only = on',
    check: 'read-only',
    says: /no write is accepted/,
    cure: /alter database .* reset default_transaction_read_only/,
  },
  'commits of the role that may be lost': {
    sql: 'alter role $role set synchronous_commit = off',
    check: 'synchronous_commit',
    says: /^off: .*loses acknowledged writes/,
    cure: /alter role "\S+" reset synchronous_commit/,
  },
  'commits of the role in this database that may be lost': {
    sql: 'alter role $role in database $database set synchronous_commit = off',
    check: 'synchronous_commit',
    says: /^off/,
    cure: /alter role .* in database .* reset synchronous_commit/,
  },
  'commits of the database that may be lost': {
    sql: 'alter database $database set synchronous_commit = off',
    check: 'synchronous_commit',
    says: /^off/,
    cure: /alter database .* reset synchronous_commit/,
  },
  'commits that may be lost by the URL': {
    environment: ({ url }) => ({
      DATABASE_URL: withParameter(url, 'options=-c%20synchronous_commit%3Doff'),
      DATABASE_LISTEN_URL: url,
    }),
    check: 'synchronous_commit',
    says: /^off/,
    cure: /remove synchronous_commit from the options of DATABASE_URL/,
    apply: asRole,
  },
  'a statement timeout of 1 ms': {
    sql: "alter role $role set statement_timeout = '1ms'",
    check: 'statement_timeout',
    says: /1 ms, but statements of the listening session may take 1500 ms/,
    cure: /alter role .* reset statement_timeout/,
  },
  'a statement timeout of the database': {
    sql: "alter database $database set statement_timeout = '1s'",
    level: 'warning',
    check: 'statement_timeout',
    says: /1000 ms, but/,
    cure: /alter database .* reset statement_timeout/,
  },
  'a statement timeout, and a view that hides one of the catalogue': {
    sql: `create view pg_settings as select name, 'command line'::text as source from pg_catalog.pg_settings;
      grant select on pg_settings to public;
      alter role $role set search_path = public, pg_catalog; alter role $role set statement_timeout = 1`,
    check: 'statement_timeout',
    says: /^1 ms, but/,
    cure: /alter role .* reset statement_timeout/,
  },
  'a connection limit of 1': {
    sql: 'alter role $role connection limit 1',
    check: 'connections',
    says: /^1 × 3 connections: the role's limit is 1/,
    cure: /alter role .* connection limit \d/,
  },
  'a connection limit of the database': {
    sql: 'alter database $database connection limit 4',
    check: 'connections',
    says: /the database's limit is 4, and other clients use 2 of it/,
    cure: /alter database .* connection limit \d/,
  },
  'a search path that leads elsewhere': {
    sql: 'create schema elsewhere; grant usage on schema elsewhere to $role; alter role $role set search_path = elsewhere',
    check: 'table',
    says: /the search_path \(elsewhere\) of role .* does not name the schema public, which has cache_entries/,
    cure: /alter role .* set search_path = "public"/,
  },
  'a search path that leads nowhere': {
    sql: 'alter role $role set search_path = nowhere',
    check: 'table',
    says: /the search_path \(nowhere\)/,
    cure: /alter role .* set search_path = "public"/,
  },

  // --- Histories ---
  'a provider that does not tell the system identifier': {
    sql: 'revoke execute on function pg_catalog.pg_control_system() from public',
    level: 'warning',
    check: 'system identifier',
    says: /may take another cluster with the same object ids for this one/,
    cure: /grant execute on function pg_catalog.pg_control_system\(\) to/,
  },
  'a provider that does not let the log be asked': {
    sql: 'revoke execute on function pg_catalog.pg_current_wal_lsn() from public',
    level: 'warning',
    check: 'timeline',
    says: /a failover does not change the epoch/,
    cure: /grant execute on function pg_catalog.pg_current_wal_lsn\(\)/,
  },

  // --- URLs ---
  'a timeout in the URL': {
    environment: ({ url }) => ({ DATABASE_URL: withParameter(url, 'statement_timeout=1') }),
    check: 'parameters of DATABASE_URL',
    says: /statement_timeout=1 overrides DATABASE_TIMEOUT_MS=2000, and ends requests/,
    cure: /remove statement_timeout from DATABASE_URL/,
    apply: asRole,
  },
  "a name that is not a sidecar's": {
    environment: ({ url }) => ({ DATABASE_URL: withParameter(url, 'application_name=app') }),
    level: 'warning',
    check: 'parameters of DATABASE_URL',
    says: /application_name replaces the names/,
    cure: /remove application_name/,
    apply: asRole,
  },
  'options that replace those of the feed': {
    environment: ({ url }) => ({
      DATABASE_URL: withParameter(url, 'options=-c%20idle_session_timeout%3D0'),
    }),
    level: 'warning',
    check: 'tcp_user_timeout',
    says: /not set/,
    cure: /add "-c tcp_user_timeout=12000" to the options of DATABASE_URL/,
    apply: ({ url }) => ({
      DATABASE_URL: withParameter(
        url,
        'options=-c%20idle_session_timeout%3D0%20-c%20tcp_user_timeout%3D12000',
      ),
    }),
  },
  'a superuser': {
    environment: ({ database }) => ({ DATABASE_URL: database.url }),
    check: 'table',
    says: /cache_entries belongs to role ".*", which is not a superuser as this one is/,
    cure: /connect as/,
    apply: asOwner,
  },
}

await testFaults(t, faults)

t.test('each finding about a server setting has a working cure', async (t) => {
  const server = await ownServer(t, { synchronous_commit: 'off', default_transaction_read_only: 'on' })
  const superuser = await connected(t, server.url())
  await superuser.query('set default_transaction_read_only = off')
  await migrate(withParameter(server.url(), 'options=-c%20default_transaction_read_only%3Doff'))
  const before = await examined({ DATABASE_URL: server.url() })
  t.equal(before.code, 1)
  t.match(
    before.findings.filter(({ level }) => level === 'bad'),
    [{ check: 'synchronous_commit' }, { check: 'read-only' }],
    summary(before.findings),
  )
})

t.test('a synchronous standby that is away is named', async (t) => {
  const server = await ownServer(t, {})
  await migrate(server.url())
  const superuser = await connected(t, server.url())
  await superuser.query("alter system set synchronous_standby_names = 'away'")
  await superuser.query('select pg_reload_conf()')
  const isFound = async () => {
    const { findings } = await examined({ DATABASE_URL: server.url() })
    return findings.filter(({ level }) => level === 'bad')
  }
  await eventually(async () => (await isFound()).length > 0)
  t.match(await isFound(), [
    {
      check: 'synchronous standby',
      says: /no standby is connected: every write waits/,
      cure: /alter system set synchronous_standby_names = ''/,
    },
  ])
  await superuser.query("alter system set synchronous_standby_names = ''")
  await superuser.query('select pg_reload_conf()')
  await eventually(async () => (await isFound()).length === 0)
})
