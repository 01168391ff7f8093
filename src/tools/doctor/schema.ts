import type pg from 'pg'
import type { Database } from '../../postgres/pool/database.js'
import { inTransaction } from '../../postgres/pool/transaction.js'
import { migrationStatus } from '../../postgres/schema/migration-status.js'
import { openSchema, quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { TableFault } from '../../postgres/schema/table-fault.js'
import { inspectTable } from '../../postgres/schema/table-inspection.js'
import { stateOf } from './failure.js'
import { bad, type Finding, migrateAs, ok, runAs, warning } from './finding.js'

/** Checks that all migrations are applied, complete and unaltered, and that none comes from a later version. */
export async function lookAtMigrations(client: pg.Client, listenUrl: string): Promise<Finding> {
  const { name, owner } = await inTransaction(client, async () => {
    const { name, entries, migrations } = await openSchema(client)
    return { name, owner: (migrations ?? entries)?.owner }
  })
  const all = await migrationStatus(listenUrl).catch((error: unknown) => {
    if (stateOf(error) !== '42501') throw error
    return undefined
  })
  const role = decodeURIComponent(new URL(listenUrl).username)
  if (all === undefined)
    return warning(
      'migrations',
      'this role may not read cache_migrations: ' +
        'the state of the migrations is unknown, and only "serve --no-migrate" works',
      runAs(
        owner === undefined ? 'the owner' : `the owner, "${owner}"`,
        `grant select on ${quoteIdentifier(name)}.cache_migrations to ${quoteIdentifier(role)}`,
      ),
    )
  const named = (state: string) => all.filter((one) => one.state === state).map(({ name }) => name)
  const [pending, altered, unknown] = [named('pending'), named('altered'), named('unknown')]
  const incomplete = named('incomplete')
  if (unknown.length > 0)
    return bad(
      'migrations',
      `${unknown.join(', ')} come from a later version`,
      'run that version, or a later one',
    )
  if (altered.length > 0)
    return bad(
      'migrations',
      `${altered.join(', ')} differ from what was applied`,
      'the files in sql/ must be those of a release',
    )
  if (incomplete.length > 0)
    return bad(
      'migrations',
      `something that ${incomplete.join(', ')} created is gone, as after a restore or a "drop table"`,
      migrateAs(owner),
    )
  if (pending.length > 0) return bad('migrations', `${pending.join(', ')} not applied yet`, migrateAs(owner))
  return ok('migrations', `all ${all.length} applied`)
}

/** Checks that other roles cannot create functions in the schema of the cache. */
export async function lookAtSchema(client: pg.Client): Promise<Finding> {
  const { name, owner, schemaOwner, isOpen } = await inTransaction(client, async () => {
    const { name, entries } = await openSchema(client)
    const { rows } = await client.query<{ open: boolean; owner: string }>(
      `select pg_get_userbyid(nspowner)::text as owner, exists (
         select from aclexplode(nspacl) where grantee = 0::oid and privilege_type = 'CREATE'
       ) as open
       from pg_namespace where oid = $1::text::regnamespace`,
      [quoteIdentifier(name)],
    )
    return { name, owner: entries?.owner, schemaOwner: rows[0]?.owner, isOpen: rows[0]?.open === true }
  })
  const whose = owner === undefined ? '' : `, cache_entries belongs to ${owner}`
  if (!isOpen) return ok('schema', `${name}${whose}`)
  return bad(
    'schema',
    `${name}${whose}; every role may create objects in it, which may be mistaken for the cache's own`,
    runAs(
      `the owner of the schema, "${schemaOwner}"`,
      `revoke create on schema ${quoteIdentifier(name)} from public`,
    ),
  )
}

/** Checks that the table has the shape that the cache needs, and that every change is announced. */
export async function lookAtTriggers(database: Database): Promise<Finding> {
  try {
    await inspectTable((sql) => database.read(sql) as Promise<never>)
    return ok('triggers', 'present and always enabled')
  } catch (error) {
    if (!(error instanceof TableFault)) throw error
    return bad(error.says.includes('trigger') ? 'triggers' : 'table', error.says, error.cure)
  }
}
