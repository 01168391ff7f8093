import type pg from 'pg'
import { inTransaction } from '../../postgres/pool/transaction.js'
import { columnsOf, migrationFiles } from '../../postgres/schema/migration-files.js'
import { quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { cureOf, databaseError } from './failure.js'
import { runAs } from './finding.js'
import { cureOfSetting } from './session-settings.js'

/** Trigger on the table of entries that no migration has created. */
export interface ForeignTrigger {
  readonly name: string
  readonly function: string
  /** Owner of the function. */
  readonly owner: string
}

const variable = 'DATABASE_URL'

/** Returns the enabled triggers on the table that no migration has created. */
export function foreignTriggers(client: pg.Client, schema: string): Promise<readonly ForeignTrigger[]> {
  return looking(client, async () => {
    const { rows } = await client.query<ForeignTrigger>(
      `select tgname::text as name, proname::text as function, pg_get_userbyid(proowner)::text as owner
       from pg_trigger join pg_proc on pg_proc.oid = tgfoid
       where tgrelid = to_regclass($1)::oid and not tgisinternal and tgenabled <> 'D'
         and tgname::text !~ '^cache_entries_[1-4]_'
       order by 1`,
      [`${quoteIdentifier(schema)}.cache_entries`],
    )
    return rows
  })
}

export interface Refusal {
  readonly error: unknown
  readonly schema: string
  readonly others: readonly ForeignTrigger[]
}

/** Returns the cure for a statement of the probe that failed. */
export async function cureOfRefusal(client: pg.Client, { error, schema, others }: Refusal): Promise<string> {
  const { code = '', message = '', constraint, column, where = '', file } = databaseError(error) ?? {}
  const table = `${quoteIdentifier(schema)}.${/"?(cache_marks|cache_leases)"?/.exec(message)?.[1] ?? 'cache_entries'}`
  const owner = 'the owner of the table'
  // The source file tells row-level security from missing privileges, which aclchk.c reports. The message is
  // translated.
  if (code === '42501' && (file === 'execMain.c' || file === 'rls.c'))
    return looking(client, async () => {
      const { rows } = await client.query<{ role: string; setting: string }>(
        "select current_user::text as role, current_setting('row_security') as setting",
      )
      if (rows[0]?.setting === 'off') return cureOfSetting(client, 'row_security', { variable, value: 'on' })
      const restrictive = await restrictivePolicies(client, table)
      if (restrictive.length > 0) return runAs(owner, ...dropPolicies(table, restrictive))
      return runAs(owner, createPolicy(table, rows[0]?.role ?? ''))
    })
  if (code === '23502' && column !== undefined)
    return runAs(owner, `alter table ${table} alter column ${quoteIdentifier(column)} drop not null`)
  if (code === '22001') {
    const bounded = await looking(client, () => boundedColumns(client, table))
    if (bounded.length > 0)
      return runAs(
        owner,
        ...bounded.map((name) => `alter table ${table} alter column ${quoteIdentifier(name)} type text`),
      )
  }
  if (code === '42703' && (await looking(client, () => lacksColumnOfMarks(client, schema))))
    return `${runAs(owner, `drop table ${quoteIdentifier(schema)}.cache_marks`)}; then run "caching-layer migrate"`
  if (constraint !== undefined)
    return runAs(owner, `alter table ${table} drop constraint ${quoteIdentifier(constraint)}`)
  if (code === '2200H')
    return runAs(owner, `alter sequence ${quoteIdentifier(schema)}.cache_version maxvalue 549755813887 cycle`)
  if (code === '25006')
    return looking(client, () =>
      cureOfSetting(client, 'default_transaction_read_only', { variable, value: 'off' }),
    )
  if (code === '55P03') return looking(client, () => cureOfLock(client, table))
  const rules = await looking(client, () => rulesOn(client, table))
  if (rules.length > 0)
    return runAs(owner, ...rules.map((rule) => `drop rule ${quoteIdentifier(rule)} on ${table}`))
  const named = others.filter((trigger) => where.includes(trigger.function))
  const guilty = named.length > 0 ? named : others
  if (guilty.length > 0)
    return runAs(owner, ...guilty.map(({ name }) => `drop trigger ${quoteIdentifier(name)} on ${table}`))
  return cureOf(variable, error)
}

/** Returns the statement by which a role sees all rows of a table, and may write each. */
export function createPolicy(table: string, role: string): string {
  return `create policy caching_layer on ${table} to ${quoteIdentifier(role)} using (true) with check (true)`
}

export function dropPolicies(table: string, names: readonly string[]): readonly string[] {
  return names.map((name) => `drop policy ${quoteIdentifier(name)} on ${table}`)
}

/** Returns the columns of the table whose texts have a bound on their length. */
async function boundedColumns(client: pg.Client, table: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select attname::text as name from pg_attribute
     where attrelid = to_regclass($1)::oid and attnum > 0::smallint and not attisdropped
       and atttypid in ('varchar'::regtype::oid, 'bpchar'::regtype::oid) and atttypmod >= 0
     order by attnum`,
    [table],
  )
  return rows.map(({ name }) => name)
}

async function lacksColumnOfMarks(client: pg.Client, schema: string): Promise<boolean> {
  const { rows } = await client.query<{ lacks: boolean }>(
    `select exists (
       select from unnest($2::text[]) as wanted
       where not exists (
         select from pg_attribute
         where attrelid = to_regclass($1)::oid and attname::text = wanted and not attisdropped
       )
     ) as lacks`,
    [`${quoteIdentifier(schema)}.cache_marks`, columnsOf('cache_marks', await migrationFiles())],
  )
  return rows[0]?.lacks === true
}

/**
 * Returns the policies of this role that no other policy can make up for. The search path must be `pg_catalog`.
 */
export async function restrictivePolicies(client: pg.Client, table: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select polname::text as name from pg_policy
     where polrelid = to_regclass($1)::oid and not polpermissive
       and exists (select from unnest(polroles) as role where role = 0::oid or pg_has_role(role, 'usage'))
     order by 1`,
    [table],
  )
  return rows.map(({ name }) => name)
}

/** Returns the rules on the table: they prevent `insert ... on conflict`, or replace a statement. */
async function rulesOn(client: pg.Client, table: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select rulename::text as name from pg_rewrite
     where ev_class = to_regclass($1)::oid and ev_enabled <> 'D'
     order by 1`,
    [table],
  )
  return rows.map(({ name }) => name)
}

async function cureOfLock(client: pg.Client, table: string): Promise<string> {
  const { rows } = await client.query<{ pid: number; role: string | null; application: string | null }>(
    `select pid, usename::text as role, application_name as application
     from pg_locks left join pg_stat_activity using (pid)
     where relation = to_regclass($1)::oid and granted and pid <> pg_backend_pid()
       and mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
     order by pid`,
    [table],
  )
  if (rows.length === 0) return 'check again: the lock is gone'
  const holders = rows.map(({ role, application }) => `"${role}" (${application || 'no application_name'})`)
  return `${holders.join(', ')} holds a lock on ${table}: wait until that has ended, or ${runAs(
    'a superuser',
    ...rows.map(({ pid }) => `select pg_terminate_backend(${pid})`),
  )}`
}

function looking<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  return inTransaction(client, async () => {
    await client.query("select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)")
    return work()
  })
}
