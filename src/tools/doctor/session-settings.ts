import type pg from 'pg'
import { inTransaction } from '../../postgres/pool/transaction.js'
import { quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { despiteTimeout } from './despite-timeout.js'
import { bad, type Finding, ok, runAs, warning } from './finding.js'

/** Time that a statement of the feed may take on a busy server, if it inspects the whole definition of the table. */
const shortestTimeoutMs = 100

/** Checks the settings that decide whether acknowledged writes are durable, and whether writes are possible at all. */
export async function lookAtSettings(client: pg.Client, variable: string): Promise<readonly Finding[]> {
  return inTransaction(client, async () => {
    await client.query("select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)")
    const { rows } = await client.query<{
      commit: string
      fsync: string
      standbys: string
      connected_standbys: number
      read_only: string
    }>(
      `select current_setting('synchronous_commit') as commit, current_setting('fsync') as fsync,
              current_setting('synchronous_standby_names') as standbys,
              (select pg_catalog.count(*)::int from pg_stat_replication) as connected_standbys,
              current_setting('default_transaction_read_only') as read_only`,
    )
    const row = rows[0] as (typeof rows)[number]
    const findings: Finding[] = []
    if (row.commit === 'off')
      findings.push(
        bad(
          'synchronous_commit',
          'off: a crash of the server loses acknowledged writes',
          await cureOfSetting(client, 'synchronous_commit', { variable, value: 'on' }),
        ),
      )
    else if (row.commit === 'local' && row.standbys !== '')
      findings.push(
        warning(
          'synchronous_commit',
          'local: a failover to a synchronous standby can lose acknowledged writes',
          await cureOfSetting(client, 'synchronous_commit', { variable, value: 'on' }),
        ),
      )
    else findings.push(ok('synchronous_commit', row.commit))
    if (row.standbys !== '' && row.connected_standbys === 0 && !['off', 'local'].includes(row.commit))
      findings.push(
        bad(
          'synchronous standby',
          `synchronous_standby_names is ${row.standbys}, and no standby is connected: every write waits for one`,
          `start the standby, or ${runAs(
            'a superuser',
            "alter system set synchronous_standby_names = ''",
            'select pg_reload_conf()',
          )}`,
        ),
      )
    if (row.fsync === 'off')
      findings.push(
        warning(
          'fsync',
          'off: a crash of the machine can lose acknowledged writes, and damage the database',
          runAs('a superuser', 'alter system set fsync = on', 'select pg_reload_conf()'),
        ),
      )
    if (row.read_only === 'on')
      findings.push(
        bad(
          'read-only',
          'default_transaction_read_only is on, so no write is accepted; some providers set it while the disk is full',
          await cureOfSetting(client, 'default_transaction_read_only', { variable, value: 'off' }),
        ),
      )
    return findings
  })
}

/**
 * Checks the timeouts of the listening session, which does not have those of the pool. `client` must be connected
 * directly, and has a statement_timeout of 0 afterwards.
 */
export async function lookAtTimeouts(
  client: pg.Client,
  variable: string,
  { url, maxStalenessMs }: { readonly url: string; readonly maxStalenessMs: number },
): Promise<readonly Finding[]> {
  const options = new URL(url).searchParams.get('options') ?? ''
  await despiteTimeout(() => client.query('set statement_timeout = 0'))
  // `reset_val` is the value with which the session began, in ms.
  const { rows: timeouts } = await client.query<{ name: string; ms: number }>(
    `select name, reset_val::integer as ms from pg_catalog.pg_settings
      where name in ('statement_timeout', 'transaction_timeout') order by name`,
  )
  const findings: Finding[] = []
  for (const { name, ms } of timeouts) {
    if (ms === 0 || ms >= maxStalenessMs / 2) continue
    const finding = ms < shortestTimeoutMs ? bad : warning
    findings.push(
      finding(
        name,
        `${ms} ms, but statements of the listening session may take ${maxStalenessMs / 2} ms`,
        options.includes(name)
          ? `remove ${name} from the options of ${variable}`
          : await inTransaction(client, async () => {
              await client.query("select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)")
              return cureOfSetting(client, name, { variable, value: '0' })
            }),
      ),
    )
  }
  return findings
}

interface PlaceRow {
  readonly source: string
  readonly role: string
  readonly database: string
  readonly for_role: boolean | null
  readonly in_database: boolean | null
}

/**
 * Returns the cure for an initial setting of the session, depending on where it was set: for the role, the database, in
 * the options, or by the server. `value` is what the server's own setting should be. The search path must be
 * `pg_catalog`.
 */
export async function cureOfSetting(
  client: pg.Client,
  name: string,
  { variable, value }: { readonly variable: string; readonly value: string },
): Promise<string> {
  const { rows } = await client.query<PlaceRow>(
    `select source, session_user::text as role, current_database()::text as database,
            place.for_role, place.in_database
     from pg_settings left join (
       select setrole <> 0::oid as for_role, setdatabase <> 0::oid as in_database
       from pg_db_role_setting, unnest(setconfig) as config
       where split_part(config, '=', 1) = $1
         and setrole in (0::oid, (select oid from pg_roles where rolname = session_user))
         and setdatabase in (0::oid, (select oid from pg_database where datname = current_database()))
       order by 1 desc, 2 desc
       limit 1
     ) as place on true
     where name = $1`,
    [name],
  )
  const row = rows[0]
  if (row === undefined) return `reset ${name}`
  const [role, database] = [quoteIdentifier(row.role), quoteIdentifier(row.database)]
  if (row.source === 'client') return `remove ${name} from the options of ${variable}, or from PGOPTIONS`
  if (row.source === 'command line') return `start the server without -c ${name}`
  if (row.for_role === null)
    return runAs('a superuser', `alter system set ${name} = ${value}`, 'select pg_reload_conf()')
  if (row.for_role)
    return runAs(
      'a superuser',
      `alter role ${role}${row.in_database ? ` in database ${database}` : ''} reset ${name}`,
    )
  return runAs('a superuser', `alter ${row.in_database ? `database ${database}` : 'role all'} reset ${name}`)
}
