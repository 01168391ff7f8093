import type pg from 'pg'
import type { Database } from '../postgres/database.js'
import { messageOf } from '../postgres/errors.js'
import { migrationStatus } from '../postgres/migrate.js'
import { openSchema, quoteIdentifier } from '../postgres/schema-owner.js'
import { inspectTable } from '../postgres/table.js'
import { inTransaction } from '../postgres/transaction.js'
import { bad, type Finding, ok } from './finding.js'

/** Are all migrations there, unaltered, and none that this version does not know? */
export async function lookAtMigrations(listenUrl: string): Promise<Finding> {
  const all = await migrationStatus(listenUrl)
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
      `${altered.join(', ')} were applied in another wording`,
      'the files in sql/ must be those of a release',
    )
  if (incomplete.length > 0)
    return bad(
      'migrations',
      `something that ${incomplete.join(', ')} made is gone, as after a restore or a "drop table"`,
      'run "caching-layer migrate" as the owner',
    )
  if (pending.length > 0)
    return bad(
      'migrations',
      `${pending.join(', ')} not applied yet`,
      'run "caching-layer migrate" as the owner',
    )
  return ok('migrations', `all ${all.length} applied`)
}

/** May this role do what a sidecar does? */
export async function lookAtRights(client: pg.Client): Promise<Finding> {
  const row = await inTransaction(client, async () => {
    const { name, entries } = await openSchema(client)
    if (entries === undefined) return undefined
    const { rows } = await client.query<{ missing: readonly string[]; role: string }>(
      `select current_user as role,
              array(
                select privilege from unnest(array['select', 'insert', 'update', 'delete']) as privilege
                where not has_table_privilege($1, privilege)
              ) as missing`,
      [`${quoteIdentifier(name)}.cache_entries`],
    )
    return rows[0]
  })
  if (row === undefined)
    return bad(
      'rights',
      'there is no table cache_entries in the search path',
      'run "caching-layer migrate" as the owner',
    )
  const { missing } = row
  if (missing.length === 0) return ok('rights', `${row.role} may read and write the table`)
  const list = missing.join(', ')
  return bad(
    'rights',
    `${row.role} has no right to ${list}`,
    `as the owner: grant ${list} on cache_entries to ${row.role}`,
  )
}

/** Can another role put its functions beside ours? */
export async function lookAtSchema(client: pg.Client): Promise<Finding> {
  const { name, owner, isOpen } = await inTransaction(client, async () => {
    const { name, entries } = await openSchema(client)
    const { rows } = await client.query<{ open: boolean }>(
      `select exists (
         select from pg_namespace, aclexplode(nspacl)
         where pg_namespace.oid = $1::text::regnamespace and grantee = 0::oid and privilege_type = 'CREATE'
       ) as open`,
      [quoteIdentifier(name)],
    )
    return { name, owner: entries?.owner, isOpen: rows[0]?.open === true }
  })
  const whose = owner === undefined ? '' : `, cache_entries belongs to ${owner}`
  if (!isOpen) return ok('schema', `${name}${whose}`)
  return bad(
    'schema',
    `${name}${whose}; every role may create objects in it, and what one creates may be taken for the cache's own`,
    `as its owner: revoke create on schema ${quoteIdentifier(name)} from public`,
  )
}

/** Is every change announced? */
export async function lookAtTriggers(database: Database): Promise<Finding> {
  try {
    await inspectTable((sql) => database.read(sql) as Promise<never>)
    return ok('triggers', 'in place, and enabled always')
  } catch (error) {
    const [says = '', ...cures] = messageOf(error).split('; ')
    return bad('triggers', says, cures.join('; ') || 'run "caching-layer migrate" as the owner')
  }
}
