import type pg from 'pg'
import { isQueryDefinition } from '../../postgres/bindings/binding-definition.js'
import { bindingDefinitions, definedBindings, hasBindings } from '../../postgres/bindings/defined-bindings.js'
import { inTransaction } from '../../postgres/pool/transaction.js'
import { openSchema, quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { bad, type Finding, ok, runAs } from './finding.js'

/** Checks that the tables of all bindings can be read, and that their changes are announced by code of their owners. */
export async function lookAtBindings(client: pg.Client): Promise<readonly Finding[]> {
  return inTransaction(client, async () => {
    const { name } = await openSchema(client)
    const bindings = (await hasBindings(client, name)) ? await definedBindings(client, name) : []
    const faulty = bindings.flatMap(({ key, fault }) =>
      fault ? [bad(`binding ${key}`, `${fault.says}: its keys are answered with 503`, fault.cure)] : [],
    )
    const findings = [...faulty, ...(await lookAtFunctions(client, name))]
    const isFine = findings.length === 0 && bindings.length > 0
    return isFine ? [ok('bindings', `all ${bindings.length} can be used`)] : findings
  })
}

/**
 * Returns true if changes of a bound table go through the outbox, for which each sidecar has a connection more. If
 * there is no table of entries, another look says so.
 */
export function isOutboxUsed(client: pg.Client): Promise<boolean> {
  const looking = inTransaction(client, async () => {
    const { name } = await openSchema(client)
    if (!(await hasBindings(client, name))) return false
    return (await bindingDefinitions(client, name)).some(
      (binding) => isQueryDefinition(binding) || binding.announce === 'outbox',
    )
  })
  return looking.catch(() => false)
}

interface AnnouncerRow {
  readonly key: string
  readonly table: string
  readonly function: string
  readonly owner: string
  readonly wanted: string
}

/**
 * Finds functions of triggers on bound tables that belong to somebody else than the owner of the table, the owner of
 * the cache or a superuser. Such a role can change what runs with the rights of everybody who writes the table.
 */
async function lookAtFunctions(client: pg.Client, schema: string): Promise<readonly Finding[]> {
  const { rows } = await client.query<AnnouncerRow>(
    `with bound_tables as (
       select pattern, bound from ${quoteIdentifier(schema)}.cache_bound_tables
       union
       select pattern, bound from ${quoteIdentifier(schema)}.cache_dependencies
     )
     select distinct pattern as key, bound::text as table, pg_proc.oid::regprocedure::text as function,
       pg_get_userbyid(proowner)::text as owner, pg_get_userbyid(relowner)::text as wanted
     from bound_tables join pg_class on pg_class.oid = bound::oid
       join pg_trigger on tgrelid = pg_class.oid and not tgisinternal
         and starts_with(tgname::text, 'cache_announce_' || left(md5(pattern), 12))
       join pg_proc on pg_proc.oid = tgfoid join pg_roles on pg_roles.oid = proowner
     where not rolsuper and proowner <> relowner and proowner <> (
       select relowner from pg_class
       where relnamespace = $1::text::regnamespace and relname = 'cache_bound_tables'
     )
     order by 1`,
    [quoteIdentifier(schema)],
  )
  return rows.map(({ key, table, function: name, owner, wanted }) =>
    bad(
      `binding ${key}`,
      `the triggers of ${table} run a function of role "${owner}" with the rights of whoever writes the table`,
      runAs('a superuser', `alter function ${name} owner to ${quoteIdentifier(wanted)}`),
    ),
  )
}
