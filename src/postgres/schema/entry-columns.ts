/** Use of a column by a statement, which needs the right of the same name. */
export type ColumnUse = 'select' | 'insert' | 'update'

/** Column of the original service, with its definition, or one that a migration adds, with its type. */
type EntryColumn = { readonly uses: readonly ColumnUse[] } & (
  | { readonly original: string; readonly added?: undefined }
  | { readonly original?: undefined; readonly added: string }
)

/**
 * Columns of cache_entries. Besides the migrations, this file is the only place that lists them: the inspection of the
 * table, the rights that doctor checks, and every query for an entry rely on it.
 *
 * To add a column that reads return: write a migration, add the column here and to `attributes`, convert it in
 * `entryOf` (store/entry-row.ts), and declare it in `StoredEntry` (core/entry.ts).
 */
export const entryColumns: ReadonlyMap<string, EntryColumn> = new Map<string, EntryColumn>([
  ['key', { original: 'text primary key', uses: ['select', 'insert'] }],
  ['value', { original: 'text not null', uses: ['select', 'insert', 'update'] }],
  ['updated_at', { original: 'timestamp not null default now()', uses: ['update'] }],
  ['version', { added: 'bigint', uses: ['select'] }],
  ['content_type', { added: 'text', uses: ['select', 'insert', 'update'] }],
  ['expires_at', { added: 'timestamptz', uses: ['select', 'update'] }],
  ['groups', { added: 'text[]', uses: ['insert', 'update'] }],
])

/** Returns the names of the columns that statements of a sidecar use in this way. */
export function columnsFor(use: ColumnUse): readonly string[] {
  return [...entryColumns].filter(([, { uses }]) => uses.includes(use)).map(([name]) => name)
}

/** Attributes of an entry: the columns that reads return with its key, version and value. */
export interface AttributeRow {
  readonly content_type: string | null
}

/** SQL by which reads return the attributes. */
const attributes: Readonly<Record<keyof AttributeRow, string>> = {
  // Cut: the trigger stores short ones, but with triggers disabled anything can be stored.
  content_type: 'left(content_type, 255)',
}

/** Attributes in the list of a query whose rows are read. */
export const readAttributes = Object.entries(attributes)
  .map(([name, sql]) => (sql === name ? name : `${sql} as ${name}`))
  .join(', ')

/** Attributes in the list of a subquery, as they are stored. */
export const storedAttributes = Object.keys(attributes).join(', ')
