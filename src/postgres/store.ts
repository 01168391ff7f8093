import type pg from 'pg'
import type { Epoch, KeptWrite, StoredEntry, Unchanged, Version, Written } from '../core/entry.js'
import type { Position, Settlement, Store, Wanted, Write } from '../core/ports.js'
import type { Attempts } from './attempts.js'
import type { Database } from './database.js'
import { type EntryRow, entryOf, wantedColumns } from './entry-row.js'
import { toColumns } from './value.js'

interface WrittenRow {
  readonly key: string
  readonly version: Version
  readonly epoch: Epoch
}

interface NothingRow {
  readonly key: null
}

/**
 * `returning` and not `excluded`: the proposed row was stamped before its conflict was found.
 *   1. our row is stamped 7 and waits for the lock     3. ours goes through, and is stamped again: 9
 *   2. another session's update, stamped 8, commits    4. `excluded.version` would take the row back to 7
 */
const upsert = (rows: string) =>
  `insert into cache_entries (key, value, content_type) ${rows}
   on conflict (key) do update
     set value = excluded.value, content_type = excluded.content_type, updated_at = now(), expires_at = null
   returning key, version, (select cache_epoch()) as epoch`

const writeOne = upsert('values ($1, $2, $3)')
const writeMany = upsert(
  `select * from unnest($1::text[], $2::text[], $3::text[]) as written (key, value, content_type)
   order by key collate "C"`,
)

// Where everybody may create functions in `public`, another role's public.concat_ws(text, bigint) is found before PostgreSQL's
// own, which takes any type. So functions of that kind are named with their schema, here and in all other statements, and
// operators get operands of exactly their types. (An unnest of several arrays is grammar, and always PostgreSQL's own.)

/**
 * The epoch comes first, so that it is asked for where nothing is found, too: on a standby it cannot be told, and
 * what is absent there may be in the primary. One row says only that: it has no key.
 */
const select = (value: string, entries: string) =>
  `select key, version, epoch, content_type, ${value} as value,
          (extract(epoch from expires_at - clock_timestamp()) * 1000.0)::float8 as remaining_ms
   from cache_epoch() as epoch
     left join ${entries} and (expires_at is null or expires_at > clock_timestamp())`

const readAll = select('value', 'cache_entries on key = any($1)')
const readWhatIsNotHeld = select(
  'case when version = held_version and epoch = held_epoch then null else value end',
  `(unnest($1::text[], $2::bigint[], $3::text[]) as wanted (key, held_version, held_epoch)
     join cache_entries using (key)) on true`,
)

/**
 * Kept writes. The rows are locked first, so that what was compared is what is written. A row that appears in between is a
 * change as well: `do nothing`, and its key is missing from the answer. A role that never deletes need not have the right
 * to.
 */
const settle = ({ withDeletes }: { withDeletes: boolean }) => `
  with kept as (
    select *
    from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::boolean[])
      as kept (key, value, content_type, held, latest, may_have_happened)
    where (select cache_epoch()) = $7
  ), present as (
    select entry.key, entry.version
    from cache_entries as entry join kept using (key)
    order by entry.key collate "C"
    for update of entry
  ), unchanged as (
    select kept.*
    from kept join present using (key)
    where case when held is null then version <= latest else version = held end
  ), absent as (
    select * from kept where not exists (select from present where present.key = kept.key)
  ), updated as (
    update cache_entries as entry
    set value = unchanged.value, content_type = unchanged.content_type, updated_at = now(), expires_at = null
    from unchanged
    where entry.key = unchanged.key and unchanged.value is not null
    returning entry.key, entry.version
  ), inserted as (
    insert into cache_entries (key, value, content_type)
    select key, value, content_type from absent
    where value is not null and held is null and not may_have_happened
    order by key collate "C"
    on conflict (key) do nothing
    returning key, version
  ), deleted as (
    ${
      withDeletes
        ? `delete from cache_entries as entry
    using unchanged
    where entry.key = unchanged.key and unchanged.value is null
    returning entry.key`
        : 'select key from unchanged where false'
    }
  )
  select key, version from updated
  union all select key, version from inserted
  union all select key, null from deleted
  union all select key, null from absent where value is null`

const settleWrites = settle({ withDeletes: false })
const settleWritesAndDeletes = settle({ withDeletes: true })

/**
 * The system of record: one statement per call, over any number of keys. Statements that lock rows lock them
 * in the order of their keys, so that two sidecars do not deadlock. Those of requests are tried again where that is
 * safe, and not at all while the database is taken for dead; those of the feed find out whether it is.
 */
export class PostgresStore implements Store {
  readonly #database: Database
  readonly #attempts: Attempts

  constructor(database: Database, attempts: Attempts) {
    this.#database = database
    this.#attempts = attempts
  }

  async read(wanted: readonly Wanted[]): Promise<Map<string, StoredEntry | Unchanged>> {
    const rows = wanted.some(({ held }) => held !== undefined)
      ? await this.#read<EntryRow | NothingRow>(readWhatIsNotHeld, wantedColumns(wanted))
      : await this.#read<EntryRow | NothingRow>(readAll, [wanted.map(({ key }) => key)])
    const entries = new Map<string, StoredEntry | Unchanged>()
    for (const row of rows) if (row.key !== null) entries.set(row.key, entryOf(row))
    return entries
  }

  async versions(keys: readonly string[], epoch: Epoch): Promise<Map<string, Version>> {
    const rows = await this.#database.read<Omit<WrittenRow, 'epoch'>>(
      'select key, version from cache_entries where key = any($1) and (select cache_epoch()) = $2',
      [keys, epoch],
    )
    this.#attempts.reached()
    return new Map(rows.map(({ key, version }) => [key, version]))
  }

  async write(writes: readonly Write[]): Promise<Map<string, Written>> {
    const keys = writes.map(({ key }) => key)
    const columns = writes.map(({ value }) => toColumns(value))
    const texts = columns.map(({ text }) => text)
    const contentTypes = columns.map(({ contentType }) => contentType)
    // A lone write is what a quiet sidecar sends; arrays would cost it 15 µs (bench/README.md).
    const rows =
      writes.length === 1
        ? await this.#write<WrittenRow>(writeOne, [keys[0], texts[0], contentTypes[0]])
        : await this.#write<WrittenRow>(writeMany, [keys, texts, contentTypes])
    return byKey(rows)
  }

  async remove(keys: readonly string[]): Promise<Map<string, Written>> {
    const rows = await this.#write<WrittenRow>(
      `delete from cache_entries
       where key in (select key from cache_entries where key = any($1) order by key collate "C" for update)
       returning key, '-' || version::text as version, (select cache_epoch()) as epoch`,
      [keys],
    )
    return byKey(rows)
  }

  /** On a standby this fails, as it should: there is no feed on a standby either. */
  async position(): Promise<Position> {
    const [row] = await this.#database.read<{ epoch: Epoch; latest: string }>(
      'select epoch, latest from cache_position()',
    )
    this.#attempts.reached()
    if (row === undefined) throw new Error('cache_position() answered no row')
    return { epoch: row.epoch, latest: BigInt(row.latest) }
  }

  async settle(writes: readonly KeptWrite[], epoch: Epoch): Promise<Map<string, Settlement>> {
    const columns = writes.map(({ value }) => (value === undefined ? undefined : toColumns(value)))
    const rows = await this.#database.write<{ key: string; version: Version | null }>(
      columns.includes(undefined) ? settleWritesAndDeletes : settleWrites,
      [
        writes.map(({ key }) => key),
        columns.map((column) => column?.text ?? null),
        columns.map((column) => column?.contentType ?? null),
        writes.map(({ base }) => (base.kind === 'held' ? base.version : null)),
        writes.map(({ base }) => (base.kind === 'unseen' ? String(base.latest) : null)),
        writes.map(({ mayHaveHappened }) => mayHaveHappened),
        epoch,
      ],
    )
    this.#attempts.reached()
    return new Map(rows.map(({ key, version }) => [key, { kind: 'written', version: version ?? undefined }]))
  }

  #read<Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> {
    return this.#attempts.run(() => this.#database.read<Row>(text, values))
  }

  #write<Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> {
    return this.#attempts.run(() => this.#database.write<Row>(text, values))
  }
}

function byKey(rows: readonly WrittenRow[]): Map<string, Written> {
  const written = new Map<string, Written>()
  for (const { key, version, epoch } of rows) written.set(key, { version, epoch })
  return written
}
