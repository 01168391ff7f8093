import pg from 'pg'
import type { Version } from '../../core/entry.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn } from '../schema/table-identity.js'
import { isBeyond, isTooLarge } from '../store/value-limit.js'
import { type BoundQuery, type BoundSource, type BoundTable, isQuery } from './bound-source.js'
import type { KeyType } from './column-value.js'
import { pinningSettings } from './json-settings.js'

/**
 * Statements for the answers of one table or query. The parameters $1 to $n are the keys, and a column for each name of
 * the pattern.
 */
export interface BoundStatements {
  /**
   * Reads the row of one key, which takes the place of the arrays. Its value is not returned if the next parameter is
   * its version. PostgreSQL would plan a statement with arrays of one key anew each time.
   */
  readonly readOne: string
  /**
   * Reads rows. Values whose version is in the next parameter, an array, are not returned. The values that are returned
   * have no more bytes together than the last parameter says.
   */
  readonly read: string
  /**
   * Returns the versions of rows. If there are none, one row without a key shows that the epoch is the last parameter.
   */
  readonly versions: string
}

/** Version that no row has. It stands for a row that is not known to be unchanged. */
export const unknownVersion: Version = '?'

/** Number of hexadecimal digits in the version of a row: a hash of 128 bits. */
const versionDigits = 32

/** Returns true for the version of a row. That of an entry is a shorter number. */
export function isRowVersion(version: Version): boolean {
  return version.length === versionDigits
}

/** Types of the values of keys, for PostgreSQL to cast the parameters to. */
const valueTypes: Readonly<Record<KeyType, string>> = {
  text: 'text',
  'character varying': 'text',
  smallint: 'int2',
  integer: 'int4',
  bigint: 'int8',
  uuid: 'uuid',
  date: 'date',
}

/**
 * Returns the statements for a binding, which must have no fault.
 *
 * Each key of a table is read by one look-up in the index: the `limit` keeps PostgreSQL from joining the keys with the
 * whole table. The database builds the key from the row, and compares it with the key that was asked for, so that each
 * row has one key. For a query, each value has one spelling. If a query for one row returns several, only the answer of
 * this key is ambiguous: it is withheld, and its version is unknown.
 *
 * A version is a hash of the JSON text. The settings that change this text are set for the statement only;
 * a row is read when that has happened, because its subquery depends on it.
 */
export function boundStatements(schema: string, bound: BoundSource, maxBytes: number): BoundStatements {
  const { keyColumns, columnTypes } = bound
  const pinned = `(select ${pinningSettings(columnTypes)} as is_done offset 0) as pinned`
  const named = keyColumns.map((_column, index) => `c${index + 1}`)
  const arrays = keyColumns.map(({ type }, index) => `$${index + 2}::text[]::${valueTypes[type]}[]`)
  const next = keyColumns.length + 2
  const stored = isQuery(bound) ? answerOf(bound) : rowOf(bound)
  const hashed = `select case when stored.is_ambiguous then '${unknownVersion}'
      else left(encode(sha256(convert_to(stored.value, 'UTF8'::name)), 'hex'::text), ${versionDigits}) end as version`
  const found = (
    held: { readonly array: string; readonly name: string } | undefined,
    columnsOfRow: string,
  ) => `
    from ${epochIn(schema)} as epoch
      cross join ${pinned}
      left join lateral (
        select ${columnsOfRow}
        from unnest($1::text[], ${[...arrays, ...(held ? [held.array] : [])].join(', ')})
            as wanted (key, ${[...named, ...(held ? [held.name] : [])].join(', ')})
          cross join lateral (${stored('wanted.key', (index) => `wanted.c${index + 1}`)}) as stored
          cross join lateral (${hashed}) as hashed
        where stored.key = wanted.key
      ) as found on true`
  return {
    readOne: `select stored.key, version, epoch,
        case when version <> $${next} and not is_ambiguous and not ${isTooLarge(maxBytes)} then value end as value,
        case when is_ambiguous then 'ambiguous' when version <> $${next} and ${isTooLarge(maxBytes)} then 'too-large' end
          as withheld
      from ${epochIn(schema)} as epoch
        cross join ${pinned}
        left join lateral (${stored('$1::text', (index, type) => `$${index + 2}::text::${valueTypes[type]}`)}) as stored
          on stored.key = $1
        left join lateral (${hashed}) as hashed on true`,
    read: `select key, version, epoch, case when not is_unsent and withheld is null then value end as value, withheld
      from (
        select *, case when is_ambiguous then 'ambiguous' when is_unsent then null when ${isTooLarge(maxBytes)} then 'too-large'
          when ${isBeyond(maxBytes, `$${next + 1}`)} then 'postponed' end as withheld
        from (
          select found.key, version, epoch, value, is_unsent, is_ambiguous
          ${found({ array: `$${next}::text[]`, name: 'held' }, 'wanted.key, hashed.version, stored.value, stored.is_ambiguous, hashed.version = wanted.held as is_unsent')}
        ) as rows
      ) as sized`,
    versions: `select found.key, version
      ${found(undefined, 'wanted.key, hashed.version')}
      where epoch = $${next}`,
  }
}

/** Returns SQL for the answer to one key, with the columns `value`, `key` and `is_ambiguous`; no row if there is none. */
type Answer = (wantedKey: string, wantedValue: (index: number, type: KeyType) => string) => string

function rowOf(bound: BoundTable): Answer {
  const { table, keyColumns, columns } = bound
  const json =
    columns === undefined
      ? 'pg_catalog.row_to_json(t.*)'
      : `(select pg_catalog.row_to_json(r.*) from (select ${columns.map((name) => `t.${quoteIdentifier(name)}`).join(', ')}) as r)`
  return (_wantedKey, wantedValue) => {
    const isRow = keyColumns
      .map(({ name, type }, index) => `t.${quoteIdentifier(name)} = ${wantedValue(index, type)}`)
      .join(' and ')
    return `select ${json}::text as value, ${keyExpression(bound)} as key, false as is_ambiguous
     from ${table} as t where ${isRow} and pinned.is_done
     limit 1`
  }
}

function answerOf({ query, keyColumns, isMany }: BoundQuery): Answer {
  return (wantedKey, wantedValue) => {
    const rows = `${query}(${keyColumns.map(({ type }, index) => wantedValue(index, type)).join(', ')}) as q (value)
     where pinned.is_done`
    return isMany
      ? `select '['::text || pg_catalog.string_agg(q.value::text, ','::text) || ']'::text as value, ${wantedKey} as key,
         false as is_ambiguous
       from ${rows} having count(*) > 0`
      : `select pg_catalog.min(few.value) as value, ${wantedKey} as key, count(*) > 1 as is_ambiguous
       from (select q.value::text as value from ${rows} limit 2) as few having count(*) > 0`
  }
}

/** Returns SQL of type text for the key of the row `t`, like cache_key_expression() for the triggers. */
export function keyExpression({ pattern, keyColumns }: Pick<BoundTable, 'pattern' | 'keyColumns'>): string {
  const types = new Map(keyColumns.map(({ name, type }) => [name, type]))
  return pattern.pieces
    .map(({ literal, column }) => {
      const text = `${pg.escapeLiteral(literal)}::text`
      return column === undefined
        ? text
        : `${text} || ${spelling(quoteIdentifier(column), types.get(column))}`
    })
    .join(' || ')
}

function spelling(column: string, type: KeyType | undefined): string {
  const text = `t.${column}::text`
  if (type === 'date') return `pg_catalog.btrim(pg_catalog.to_json(t.${column})::text, '"'::text)`
  if (type !== 'text' && type !== 'character varying') return text
  return `replace(replace(${text} collate pg_catalog."C", '%'::text, '%25'::text), ':'::text, '%3A'::text)`
}
