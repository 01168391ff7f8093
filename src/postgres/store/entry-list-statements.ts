import { quoteIdentifier } from '../schema/schema-owner.js'
import { remainingMs } from './expiry.js'

/** Number of rows that one statement looks at, so that many expired ones do not make it slow. */
export const maxRowsSeen = 1_001

/** Largest key of the service. SQL can write larger ones, which no request can name. */
const maxKeyBytes = 1_024

/**
 * Returns whether the collation of the column compares bytes, so that the column's own index has the rows in this
 * order: `C` and `POSIX`, and all collations of PostgreSQL's builtin provider. $1 is the schema.
 */
export const comparesBytes = `
  select case coalesce(nullif(collprovider::text, 'd'::text),
                       pg_catalog.to_jsonb(pg_database) ->> 'datlocprovider'::text, 'c'::text)
           when 'b'::text then true
           when 'c'::text then case collprovider::text when 'd'::text then datcollate::text else collcollate::text end
             in ('C'::text, 'POSIX'::text)
           else false
         end as compares_bytes
  from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    join pg_attribute on attrelid = pg_class.oid
    join pg_collation on pg_collation.oid = attcollation
    join pg_database on datname = current_database()
  where nspname::text = $1::text and relname::text = 'cache_entries'::text and attname::text = 'key'::text`

export interface EntryListStatements {
  /**
   * Returns up to $3 rows: those after the key $1 that match the pattern $2. A row that is not to be listed is returned
   * only as the last one of `maxRowsSeen`, which has `is_bound`.
   */
  readonly rows: string
  /** Returns the number of entries whose key matches the pattern $1. */
  readonly count: string
}

/**
 * Returns the statements. The order is that of the bytes of the keys, because other collations do not keep the keys
 * with one prefix together. Their index cannot be used then: PostgreSQL reads and sorts the whole table for each page,
 * unless there is an index on `(key collate "C")` (docs/reference/http-api.md).
 */
export function entryListStatements(schemaName: string, isIndexed: boolean): EntryListStatements {
  const entries = `${quoteIdentifier(schemaName)}.cache_entries`
  // The column may be a varchar, and operators get operands of exactly their types (entry-statements.ts).
  const key = isIndexed ? 'key::text' : 'key::text collate "C"'
  const isListed = `(expires_at is null or expires_at > clock_timestamp())
    and octet_length(key::text) <= ${maxKeyBytes}`
  return {
    rows: `select key, version::text as version, bytes, groups, is_listed, number = ${maxRowsSeen}::bigint as is_bound,
        ${remainingMs}
      from (
        select *, row_number() over (order by ${key}) as number, ${isListed} as is_listed
        from (
          select key::text as key, version, octet_length(value) as bytes, expires_at, groups
          from ${entries}
          where ${key} > $1::text and ${key} like $2::text
          order by ${key} limit ${maxRowsSeen}
        ) as ordered
      ) as seen
      where is_listed or number = ${maxRowsSeen}::bigint
      order by ${key} limit $3::int`,
    count: `select (count(*) filter (where ${isListed}))::text as count
      from ${entries}
      where ${key} > ''::text and ${key} like $1::text`,
  }
}
