import { isDeepStrictEqual } from 'node:util'
import pg from 'pg'
import type { Fleet } from '../fleet/fleet.js'
import type { ReadAnswer } from '../fleet/sidecar-client.js'
import { pageIds } from './bound-pages.js'

/** A table of an application, bound to keys. */
export interface BoundTable {
  readonly name: string
  readonly pattern: string
  /** Columns of the key with their types, in the order of the pattern. */
  readonly columns: readonly (readonly [name: string, type: string])[]
  readonly rows: readonly BoundRow[]
}

/** A row that may be there or not, with its key. */
export interface BoundRow {
  readonly table: BoundTable
  readonly key: string
  /** Values of the columns of the key. */
  readonly values: readonly (string | number)[]
}

const numbers = (count: number) => Array.from({ length: count }, (_none, index) => index + 1)
const uuidOf = (number: number) => `0189d0a2-0000-7000-8000-${String(number).padStart(12, '0')}`
const spelt = (text: string | number) => String(text).replaceAll('%', '%25').replaceAll(':', '%3A')

function bound(
  name: string,
  columns: BoundTable['columns'],
  values: readonly (readonly (string | number)[])[],
): BoundTable {
  const rows: BoundRow[] = []
  const pattern = [name, ...columns.map(([column]) => `{${column}}`)].join(':')
  const table = { name: `shop.${name}`, pattern, columns, rows }
  for (const some of values) rows.push({ table, key: [name, ...some.map(spelt)].join(':'), values: some })
  return table
}

/** An ordinary table, with 10,050 more rows that nobody reads. */
export const item = bound(
  'item',
  [['id', 'int']],
  numbers(16).map((id) => [id]),
)

/** A table whose key has a text and a uuid. */
export const line = bound(
  'line',
  [
    ['code', 'text'],
    ['ref', 'uuid'],
  ],
  ['a', 'a:b', '50 %', '%3A', 'é/"x"', ''].flatMap((code) => [
    [code, uuidOf(1)],
    [code, uuidOf(2)],
  ]),
)

/** Region whose partition is attached and detached again and again. */
const movingRegion = 'cn'

/** A partitioned table. */
export const measure = bound(
  'measure',
  [
    ['region', 'text'],
    ['id', 'bigint'],
  ],
  [
    ...['eu', 'us'].flatMap((region) => numbers(5).map((id) => [region, id])),
    ...numbers(2).map((id) => [movingRegion, id]),
  ],
)
export const movingPartition = measure.rows.filter(({ values }) => values[0] === movingRegion)

/** A table whose rows belong to rows of another one: these are deleted, and get other ids, with a cascade. */
export const part = bound(
  'part',
  [
    ['owner', 'int'],
    ['id', 'int'],
  ],
  numbers(4).flatMap((owner) => numbers(3).map((id) => [owner, id])),
)

/** A table whose value is a label of an enum, which is the same for all rows. Only the label is ever changed. */
export const mood = bound(
  'mood',
  [['id', 'int']],
  numbers(2).map((id) => [id]),
)

/** A table whose rows are read slowly if a client wants that, so that a change arrives during a fill. Only races change it. */
export const slow = bound(
  'slow',
  [['id', 'int']],
  numbers(6).map((id) => [id]),
)

/** A table whose changes stay in the outbox for a while, because a drain that has deleted them does not end. */
export const held = bound(
  'held',
  [['id', 'int']],
  numbers(6).map((id) => [id]),
)

/** A table that is bound and unbound again and again. While it is not bound, none of its keys exists. */
export const toggle = bound(
  'toggle',
  [['id', 'smallint']],
  numbers(4).map((id) => [id]),
)

/** The view of a bound query over two tables, whose rows only `BoundPages` changes. */
export const page = bound(
  'page',
  [['id', 'int']],
  pageIds.map((id) => [id]),
)

/** Tables whose rows are changed one by one. */
export const written: readonly BoundTable[] = [item, line, measure, part]
/** Tables that the ordinary readers ask for. */
export const readTables: readonly BoundTable[] = [...written, mood, toggle, page]
export const boundTables: readonly BoundTable[] = [...written, mood, toggle, slow, held]
export const tableRows: readonly BoundRow[] = boundTables.flatMap(({ rows }) => rows)
/** What can be read under a key: rows of tables, and pages. */
export const boundRows: readonly BoundRow[] = [...tableRows, ...page.rows]
/**
 * The last rows of these tables, in pairs. They are changed rarely, and strong reads of them are rare, so that it shows
 * if one of their changes is not announced.
 */
const coldRows = 6
const stayingRows = ({ rows }: BoundTable) => rows.filter((row) => !movingPartition.includes(row))
export const warmRows = (table: BoundTable) => stayingRows(table).slice(0, -coldRows)
export const coldPairs: readonly (readonly [BoundRow, BoundRow])[] = written.flatMap((table) => {
  const cold = stayingRows(table).slice(-coldRows)
  return cold.flatMap((row, index) => (index % 2 === 0 ? [[row, cold[index + 1] as BoundRow] as const] : []))
})
const cold: ReadonlySet<BoundRow> = new Set([
  ...coldPairs.flat(),
  ...movingPartition,
  ...mood.rows,
  ...toggle.rows,
  ...page.rows,
])
export const isCold = (row: BoundRow) => cold.has(row)
const rowsByKey = new Map(boundRows.map((row) => [row.key, row]))

/** Value of the rows of `item` that no key of the run names. */
export const filler = 'filler'
/** Rows of `item` from this one on are filler: more than one statement announces by their keys. */
export const fillerFrom = 100_000
export const fillItem = `insert into shop.item select ${fillerFrom} + n, '${filler}' from generate_series(1, 10050) as n`
export const emptyItem = `truncate shop.item; ${fillItem}`

/** Returns the statement that binds a table. Those of one table are announced at each commit, and others later. */
export function bindingOf(
  { name, pattern }: BoundTable,
  columns = 'null',
  announce = name === line.name ? 'notify' : 'outbox',
): string {
  const how = `columns => ${columns}, in_group => 'shop', announce => '${announce}'`
  return `select cache_bind('${name}', key => '${pattern}', ${how})`
}

/** Returns SQL that gives the label of the enum this name. */
export function relabelled(value: string): string {
  return `do $$ begin
    execute (
      select format('alter type shop.label rename value %L to %L', enumlabel, '${value}')
      from pg_enum where enumtypid = 'shop.label'::regtype
    );
  end $$`
}

/**
 * First keys of the advisory locks of the rows of `slow`. While a client holds the first one of a row, sidecars' reads
 * of this row wait, and hold the second one.
 */
export const slowLocks = { client: 4_711, waiting: 4_712 } as const

/** Creates the tables if they are not there, empties them, and binds them. */
export const makeTables = `
  create schema if not exists shop;
  create table if not exists shop.item (id int primary key, v text, note text default 'n');
  create table if not exists shop.line (v text, ref uuid, code text, primary key (code, ref));
  create table if not exists shop.measure (id bigint, region text, v text, primary key (id, region)) partition by list (region);
  create table if not exists shop.measure_eu partition of shop.measure for values in ('eu') partition by range (id);
  create table if not exists shop.measure_eu_1 partition of shop.measure_eu for values from (0) to (1000);
  create table if not exists shop.measure_us partition of shop.measure for values in ('us');
  create table if not exists shop.measure_cn (id bigint not null, region text not null, v text);
  do $$ begin
    alter table shop.measure attach partition shop.measure_cn for values in ('${movingRegion}');
  exception when wrong_object_type then null;
  end $$;
  create table if not exists shop.owner (id int primary key);
  create table if not exists shop.part (owner int references shop.owner on update cascade on delete cascade, id int, v text, primary key (owner, id));
  do $$ begin
    create type shop.label as enum ('new');
  exception when duplicate_object then null;
  end $$;
  create table if not exists shop.mood (id int primary key, v shop.label);
  create table if not exists shop.toggle (id smallint primary key, v text);
  create table if not exists shop.held (id int primary key, v text);
  create table if not exists shop.slow (id int primary key, v text);
  create or replace function shop.dawdle(id int) returns boolean language plpgsql volatile as $$ begin
    if current_setting('application_name') = 'caching-layer' then
      while not pg_try_advisory_xact_lock_shared(${slowLocks.client}, id)
        and clock_timestamp() < statement_timestamp() + interval '1.5 s'
      loop
        perform pg_advisory_xact_lock_shared(${slowLocks.waiting}, id), pg_sleep(0.01);
      end loop;
    end if;
    return true;
  end $$;
  alter table shop.slow enable row level security, force row level security;
  drop policy if exists slow on shop.slow;
  create policy slow on shop.slow using (shop.dawdle(id)) with check (true);
  truncate shop.line, shop.measure, shop.owner, shop.part, shop.mood, shop.toggle, shop.slow, shop.held;
  insert into shop.owner select generate_series(1, 4);
  ${emptyItem};
  ${boundTables.map((table) => bindingOf(table)).join(';\n')}`

/** Returns a condition for one row. Its values are the parameters from `$first` on. */
export function isRow({ columns }: BoundTable, first: number): string {
  return columns.map(([name, type], index) => `${name} = $${first + index}::${type}`).join(' and ')
}

/** Returns SQL for a list of the values of a row. */
export function valuesOf({ table, values }: BoundRow): string {
  return table.columns
    .map(([, type], index) => `${pg.escapeLiteral(String(values[index]))}::${type}`)
    .join(', ')
}

export function namesOf({ columns }: BoundTable): string {
  return columns.map(([name]) => name).join(', ')
}

/** Returns the key of a row that a statement has returned. */
export function keyOf(
  { columns, rows }: BoundTable,
  row: Readonly<Record<string, unknown>>,
): string | undefined {
  return rows.find(({ values }) =>
    columns.every(([name], index) => String(row[name]) === String(values[index])),
  )?.key
}

/** Returns the values of all rows that can be read under a key, as the server has them now. */
export async function storedRows(fleet: Pick<Fleet, 'administer'>): Promise<ReadonlyMap<string, string>> {
  const stored = new Map<string, string>()
  const [found] = await fleet.administer<{ is_there: boolean }>(
    "select to_regclass('public.cache_bound_tables') is not null as is_there",
  )
  if (!found?.is_there) return stored
  const bindings = await fleet.administer<{ pattern: string }>(
    'select pattern from cache_bound_tables union all select pattern from cache_bound_queries',
  )
  for (const table of [...boundTables, page].filter(({ pattern }) =>
    bindings.some((one) => one.pattern === pattern),
  ))
    for (const row of await fleet.administer<{ v: string }>(
      `select ${namesOf(table)}, v from ${table.name} where v::text <> '${filler}'`,
    )) {
      const key = keyOf(table, row)
      if (key !== undefined) stored.set(key, row.v)
    }
  return stored
}

/** Returns the answer with the value of the row in place of the row, which must be the one of this key. */
export function rowAnswer(key: string, answer: ReadAnswer): ReadAnswer {
  if (answer.kind !== 'entry' || answer.value === null) return answer
  const { table, values } = rowsByKey.get(key) as BoundRow
  const row = JSON.parse(answer.value) as Readonly<Record<string, unknown>>
  const shown = table.columns.map(([name]) => row[name])
  if (!isDeepStrictEqual(shown, values) || typeof row.v !== 'string')
    return { kind: 'wrong', why: `the row of another key: ${answer.value}` }
  return { ...answer, value: row.v }
}
