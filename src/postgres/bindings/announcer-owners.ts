import type pg from 'pg'
import { quoteIdentifier } from '../schema/schema-owner.js'

/** A function of triggers on a bound table that belongs to a wrong role. */
export interface StrangeAnnouncer {
  readonly key: string
  readonly table: string
  /** Name of the function with its arguments, quoted where necessary. */
  readonly function: string
  readonly owner: string
  /** Role to which the function should belong. */
  readonly wanted: string
  /** The fault in words. */
  readonly says: string
}

/**
 * Returns the keys of the bindings whose triggers look for an outbox that is not this one, because the database was
 * restored from a dump. They find this one by a longer way for each changed row.
 */
export async function restoredAnnouncers(client: pg.Client, schema: string): Promise<ReadonlySet<string>> {
  const inSchema = quoteIdentifier(schema)
  const { rows } = await client.query<{ key: string }>(
    `select pattern as key
     from (
       select pattern from ${inSchema}.cache_bound_tables union select pattern from ${inSchema}.cache_bound_queries
     ) as bindings
     where exists (
       select from pg_proc
       where pronamespace = $1::text::regnamespace and prosecdef
         and proname ~ ('^cache_announce_' || left(md5(pattern), 12) || '(_[0-9]+)?$')
         and position(format('%L::pg_catalog.oid', format('%I.cache_outbox', $2::text)::regclass::oid) in prosrc) = 0
     )`,
    [inSchema, schema],
  )
  return new Set(rows.map(({ key }) => key))
}

/**
 * Finds functions of triggers on bound tables that belong to somebody else than the owner of the table, the owner of the
 * cache or a superuser: such a role can change what runs when somebody writes the table. And those whose owner may not
 * write the outbox: they fail, and everybody who writes the table gets an error.
 */
export async function strangeAnnouncers(
  client: pg.Client,
  schema: string,
): Promise<readonly StrangeAnnouncer[]> {
  const { rows } = await client.query<StrangeAnnouncer & { readonly fails: boolean }>(
    `with bound_tables as (
       select pattern, bound from ${quoteIdentifier(schema)}.cache_bound_tables
       union
       select pattern, bound from ${quoteIdentifier(schema)}.cache_dependencies
     ), outbox as (
       select oid, relowner from pg_class where relnamespace = $1::text::regnamespace and relname = 'cache_outbox'
     )
     select distinct pattern as key, bound::text as table, pg_proc.oid::regprocedure::text as function,
       pg_get_userbyid(proowner)::text as owner,
       pg_get_userbyid(
         case when has_table_privilege(pg_class.relowner, outbox.oid, 'insert') then pg_class.relowner
           else outbox.relowner end
       )::text as wanted,
       prosecdef and not has_table_privilege(proowner, outbox.oid, 'insert') as fails
     from bound_tables join pg_class on pg_class.oid = bound::oid
       join pg_trigger on tgrelid = pg_class.oid and not tgisinternal
         and starts_with(tgname::text, 'cache_announce_' || left(md5(pattern), 12))
       join pg_proc on pg_proc.oid = tgfoid join pg_roles on pg_roles.oid = proowner cross join outbox
     where not rolsuper and (
       proowner <> pg_class.relowner and proowner <> outbox.relowner
       or prosecdef and not has_table_privilege(proowner, outbox.oid, 'insert')
     )
     order by 1`,
    [quoteIdentifier(schema)],
  )
  return rows.map(({ fails, ...rest }) => ({
    ...rest,
    says: fails
      ? `the triggers of ${rest.table} run a function of role "${rest.owner}", which may not write the outbox: ` +
        'who writes the table gets an error'
      : `the triggers of ${rest.table} run a function of role "${rest.owner}" with the rights of whoever writes the table`,
  }))
}
