import type pg from 'pg'
import { inTransaction } from '../../postgres/pool/transaction.js'
import { openSchema, quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { type Finding, ok, runAs, warning } from './finding.js'
import { createPolicy, dropPolicies, restrictivePolicies } from './refusal.js'

/** Functions by which the primary tells its timeline and the position of its log. */
const logFunctions = ['pg_current_wal_lsn()', 'pg_current_wal_insert_lsn()', 'pg_walfile_name(pg_lsn)']

/** Checks that sidecars can tell one history of the database from another (P6, P9). */
export async function lookAtHistory(client: pg.Client): Promise<readonly Finding[]> {
  return inTransaction(client, async () => {
    const { name } = await openSchema(client)
    const schema = quoteIdentifier(name)
    const { rows } = await client.query<{ timeline: boolean; system: string; role: string }>(
      `select ${schema}.cache_knows_timeline() as timeline, ${schema}.cache_system_identifier() as system,
              current_user::text as role`,
    )
    const { timeline, system, role } = rows[0] as (typeof rows)[number]
    const grantee = quoteIdentifier(role)
    const findings: Finding[] = []
    if (!timeline)
      findings.push(
        warning(
          'timeline',
          'this server does not tell the position of its log, so a failover does not change the epoch: ' +
            'after one, sidecars compare their entries instead of dropping them, pending writes rely on marks alone, ' +
            'and DATABASE_READ_URL cannot be used',
          `turn logical replication on where the provider asks for that (Amazon Aurora does), or ${runAs(
            'a superuser',
            `grant execute on function ${logFunctions.map((name) => `pg_catalog.${name}`).join(', ')} to ${grantee}`,
          )}`,
        ),
      )
    if (system === '0')
      findings.push(
        warning(
          'system identifier',
          'this server does not tell it: sidecars may take another cluster with the same object ids for this one, ' +
            'for example after a restore elsewhere; restart them when the database moves',
          runAs('a superuser', `grant execute on function pg_catalog.pg_control_system() to ${grantee}`),
        ),
      )
    return findings.length > 0
      ? findings
      : [ok('history', 'the epoch names cluster, timeline, database and table')]
  })
}

/** Checks whether row-level security can hide rows from this role: to a sidecar such a row is absent. */
export async function lookAtPolicies(client: pg.Client): Promise<readonly Finding[]> {
  return inTransaction(client, async () => {
    const { name, entries } = await openSchema(client)
    const { rows } = await client.query<{ table: string; role: string; sees_all: boolean }>(
      `select relname::text as table, current_user::text as role, exists (
         select from pg_policies
         where schemaname::text = $2 and tablename::text = relname and cmd = 'ALL' and permissive = 'PERMISSIVE'
           and qual = 'true' and coalesce(with_check, 'true') = 'true'
           and roles && array['public'::name, current_user]
       ) as sees_all
       from unnest(array['cache_entries', 'cache_marks']) as relname
       where row_security_active($1 || '.' || relname)`,
      [quoteIdentifier(name), name],
    )
    const findings: Finding[] = []
    for (const { table, role, sees_all: seesAll } of rows) {
      const qualified = `${quoteIdentifier(name)}.${table}`
      const cures = [
        ...(seesAll ? [] : [createPolicy(qualified, role)]),
        ...dropPolicies(qualified, await restrictivePolicies(client, qualified)),
      ]
      if (cures.length > 0)
        findings.push(
          warning(
            'row-level security',
            `policies of ${table} apply to role "${role}": rows that they hide are absent for sidecars`,
            runAs(`the owner, "${entries?.owner}"`, ...cures),
          ),
        )
    }
    return findings
  })
}
