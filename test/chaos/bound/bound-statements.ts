import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { Random } from '../../support/random.js'
import type { SqlOutcome } from '../fleet/sql-client.js'
import type { WrittenValue } from '../oracle/history.js'
import {
  type BoundRow,
  type BoundTable,
  emptyItem,
  fillerFrom,
  fillItem,
  isRow,
  item,
  keyOf,
  line,
  measure,
  namesOf,
  valuesOf,
  warmRows,
} from './bound-tables.js'

/** What became of each key. */
export type Outcomes = (key: string) => SqlOutcome

/** One transaction, with what it gives to keys if it commits; null removes the row. */
export interface Planned {
  readonly kind: string
  readonly writes: ReadonlyMap<string, WrittenValue>
  /** True if the statement rewrites a table, which is empty for snapshots that were taken before. */
  readonly isRewrite?: true
  /** Values that the transaction writes and takes back. */
  readonly undone?: ReadonlyMap<string, string>
  /** Resolves to what became of each key. */
  readonly run: (client: pg.PoolClient) => Promise<Outcomes>
}

export interface Drawn {
  readonly random: Random
  readonly row: BoundRow
  /** Another row of the same table. */
  readonly other: BoundRow
  readonly value: string
  /** A second value. */
  readonly lost: string
}

/**
 * Kinds that are announced as a change of any key. Sidecars compare everything then, and that hides an earlier change
 * that was not announced.
 */
export const broadKinds: ReadonlySet<string> = new Set([
  'COPY FREEZE',
  'TRUNCATE',
  'TRUNCATE CASCADE',
  'UPDATE of more than 10,000 rows',
])

const all = (outcome: SqlOutcome) => () => outcome
/** Everything that was written took effect. */
export const ok: Outcomes = all('ok')

/**
 * Kinds of statements by how often they come; each plans one for a row. Those that change many rows are rare, because
 * they hide that an earlier change of one row was not announced.
 */
export const rowStatements: readonly (readonly [weight: number, plan: (drawn: Drawn) => Planned])[] = [
  [
    4,
    ({ row, value }) => {
      const sql = `insert into ${row.table.name} (${namesOf(row.table)}, v) values (${valuesOf(row)}, $1)`
      return one('INSERT', row, value, (client) => client.query(sql, [value]).then(() => 'ok'))
    },
  ],
  [
    1,
    ({ row, value }) => {
      const sql = `insert into ${row.table.name} (${namesOf(row.table)}, v) values (${valuesOf(row)}, $1)
        on conflict do nothing`
      return one('ON CONFLICT DO NOTHING', row, value, async (client) =>
        (await client.query(sql, [value])).rowCount ? 'ok' : 'failed',
      )
    },
  ],
  [5, ({ row, value }) => upserted(row, value)],
  [
    8,
    ({ row, value }) => {
      const sql = `update ${row.table.name} set v = $1 where ${isRow(row.table, 2)}`
      return one('UPDATE', row, value, async (client) =>
        (await client.query(sql, [value, ...row.values])).rowCount ? 'ok' : 'nothing',
      )
    },
  ],
  [
    3,
    ({ row }) => {
      const sql = `delete from ${row.table.name} where ${isRow(row.table, 1)}`
      return one('DELETE', row, null, (client) => client.query(sql, [...row.values]).then(() => 'ok'))
    },
  ],
  [
    2,
    ({ row, value }) => {
      const sql = `merge into ${row.table.name} as t using (select ${valuesOf(row)}) as s (${namesOf(row.table)})
        on ${row.table.columns.map(([name]) => `t.${name} = s.${name}`).join(' and ')}
        when matched then update set v = $1 when not matched then insert (${namesOf(row.table)}, v) values (${valuesOf(row)}, $1)`
      return one('MERGE', row, value, (client) => client.query(sql, [value]).then(() => 'ok'))
    },
  ],
  [
    1,
    ({ row }) => {
      const sql = `merge into ${row.table.name} as t using (select ${valuesOf(row)}) as s (${namesOf(row.table)})
        on ${row.table.columns.map(([name]) => `t.${name} = s.${name}`).join(' and ')} when matched then delete`
      return one('MERGE, DELETE', row, null, (client) => client.query(sql).then(() => 'ok'))
    },
  ],
  [3, ({ row, other, value }) => moved(row, other, value)],
  [
    2,
    ({ row, value }) => ({
      kind: 'COPY',
      writes: new Map([[row.key, value]]),
      run: inTransaction(async (client) => {
        await client.query(`delete from ${row.table.name} where ${isRow(row.table, 1)}`, [...row.values])
        await copied(client, [row], value)
        return ok
      }),
    }),
  ],
  [
    0.05,
    ({ row, value }) => {
      // Not possible with partitions.
      const { rows, ...table } = row.table === line ? line : item
      const kept = rows.filter((_row, index) => index % 3 > 0)
      return {
        kind: 'COPY FREEZE',
        writes: new Map(rows.map((one) => [one.key, kept.includes(one) ? value : null])),
        run: inTransaction(async (client) => {
          await client.query("set local lock_timeout = '1s'")
          await client.query(`truncate ${table.name}`)
          await copied(client, kept, value, ', freeze')
          if (table.name === item.name) await client.query(fillItem)
          return ok
        }),
      }
    },
  ],
  [
    2,
    ({ row, other, value, lost }) => ({
      kind: 'SAVEPOINT',
      writes: new Map([[row.key, value]]),
      undone: new Map([
        [row.key, lost],
        [other.key, lost],
      ]),
      run: inTransaction(async (client) => {
        await client.query(upsert(row), [value])
        await client.query('savepoint before')
        for (const one of [row, other]) await client.query(upsert(one), [lost])
        await client.query('rollback to before')
        return ok
      }),
    }),
  ],
  [
    1,
    ({ row, value, lost }) => ({
      kind: 'EXCEPTION block',
      writes: new Map([[row.key, value]]),
      undone: new Map([[row.key, lost]]),
      run: inTransaction(async (client) => {
        const literal = (text: string) => pg.escapeLiteral(text)
        await client.query(`do $$ begin
          ${upsert(row).replace('$1', literal(value))};
          begin
            ${upsert(row).replace('$1', literal(lost))};
            raise unique_violation;
          exception when unique_violation then null;
          end;
        end $$`)
        return ok
      }),
    }),
  ],
  [
    1,
    ({ row, value }) => ({
      kind: 'SERIALIZABLE',
      writes: new Map([[row.key, value]]),
      run: inTransaction(async (client) => {
        await client.query('set transaction isolation level serializable')
        await client.query(upsert(row), [value])
        return ok
      }),
    }),
  ],
  [
    1,
    ({ random, row, value }) => ({
      kind: 'PREPARE TRANSACTION',
      writes: new Map([[row.key, value]]),
      run: async (client) => {
        const name = `${preparedPrefix}${random.integer(1, 1e9)}`
        await client.query('begin')
        await client.query(upsert(row), [value])
        // Refused if the table announces its changes by NOTIFY.
        await client.query(`prepare transaction '${name}'`)
        await sleep(random.between(0, 200))
        await client.query(`commit prepared '${name}'`)
        return ok
      },
    }),
  ],
  [
    1,
    ({ random, row, value }) => {
      const second = random.pick(warmRows(row.table === measure ? item : measure))
      const sql = `with first as (${upsert(row)} returning 1) ${upsert(second)}`
      return {
        kind: 'WITH of two tables',
        writes: new Map([
          [row.key, value],
          [second.key, value],
        ]),
        run: (client) => client.query(sql, [value]).then(() => ok),
      }
    },
  ],
  [
    2,
    ({ row, lost }) => ({
      kind: 'ROLLBACK',
      writes: new Map(),
      undone: new Map([[row.key, lost]]),
      run: async (client) => {
        await client.query('begin')
        await client.query(upsert(row), [lost])
        await client.query('rollback')
        return ok
      },
    }),
  ],
  [
    2,
    ({ row, value }) => ({
      kind: 'replica role',
      writes: new Map([[row.key, value]]),
      run: inTransaction(async (client) => {
        await client.query('set local session_replication_role = replica')
        await client.query(upsert(row), [value])
        return ok
      }),
    }),
  ],
  [
    2,
    ({ random, row, value }) => {
      const second = random.pick(warmRows(row.table === line ? item : line))
      return {
        kind: 'two tables, held for a while',
        writes: new Map([
          [row.key, value],
          [second.key, value],
        ]),
        run: inTransaction(async (client) => {
          for (const one of [row, second]) await client.query(upsert(one), [value])
          await client.query('select pg_sleep($1)', [random.between(0, 0.3)])
          return ok
        }),
      }
    },
  ],
  [
    0.1,
    ({ row: { table }, value }) => ({
      kind: 'UPDATE of all rows',
      writes: toAll(table, value),
      run: (client) =>
        changed(client, table, `update ${table.name} set v = $1 where ${isTracked(table)}`, value),
    }),
  ],
  [
    0.05,
    ({ value }) => ({
      kind: 'UPDATE of more than 10,000 rows',
      writes: toAll(item, value),
      run: async (client) => {
        const { rows } = await client.query(
          `with all_of_them as (
             update shop.item set v = case when id < ${fillerFrom} then $1 else v end returning id
           ) select id from all_of_them where id < ${fillerFrom}`,
          [value],
        )
        return outcomeIn(item, rows)
      },
    }),
  ],
  [
    0.05,
    ({ row: { table } }) => ({
      kind: 'TRUNCATE',
      writes: toAll(table, null),
      run: inTransaction(async (client) => {
        await client.query("set local lock_timeout = '1s'")
        await client.query(table === item ? emptyItem : `truncate ${table.name}`)
        return ok
      }),
    }),
  ],
  [
    0.1,
    ({ row, value }) => {
      const region = row.table === measure ? row.values[0] : 'us'
      const concerned = measure.rows.filter(({ values }) => values[0] === region)
      const partition = region === 'us' ? 'shop.measure_us' : 'shop.measure_eu_1'
      return {
        kind: 'UPDATE of a partition',
        writes: new Map(concerned.map(({ key }) => [key, value])),
        run: (client) => changed(client, measure, `update ${partition} set v = $1 where true`, value),
      }
    },
  ],
]

/** Beginning of the names of prepared transactions. */
const preparedPrefix = 'chaos-'

/** Rolls back what was prepared by clients that were cut off since, so that its rows do not stay locked. */
export async function rollBackPrepared(client: pg.ClientBase, olderThanMs: number): Promise<void> {
  const { rows } = await client.query<{ gid: string }>(
    `select gid from pg_prepared_xacts
     where database = current_database() and starts_with(gid, '${preparedPrefix}')
       and prepared < clock_timestamp() - $1 * interval '1 ms'`,
    [olderThanMs],
  )
  for (const { gid } of rows) await client.query(`rollback prepared '${gid}'`)
}

export function upserted(row: BoundRow, value: string): Planned {
  return one('ON CONFLICT DO UPDATE', row, value, (client) =>
    client.query(upsert(row), [value]).then(() => 'ok'),
  )
}

/** Gives the row the key of another one, which is deleted if it is there. */
export function moved(row: BoundRow, other: BoundRow, value: string): Planned {
  const { table } = row
  const sets = table.columns.map(([name, type], index) => `${name} = $${index + 2}::${type}`).join(', ')
  const sql = `update ${table.name} set ${sets}, v = $1 where ${isRow(table, 2 + table.columns.length)}`
  return {
    kind: table === measure ? 'UPDATE of the key, to another partition' : 'UPDATE of the key',
    writes: new Map([
      [row.key, null],
      [other.key, value],
    ]),
    run: inTransaction(async (client) => {
      await client.query(`delete from ${table.name} where ${isRow(table, 1)}`, [...other.values])
      const { rowCount } = await client.query(sql, [value, ...other.values, ...row.values])
      if (rowCount) return ok
      await client.query('rollback')
      return all('failed')
    }),
  }
}

async function copied(
  client: pg.PoolClient,
  rows: readonly BoundRow[],
  value: string,
  options = '',
): Promise<void> {
  const [{ table }] = rows as [BoundRow]
  const lines = rows.map(({ values }) =>
    [...values, value].map((text) => `"${String(text).replaceAll('"', '""')}"`).join(','),
  )
  const copy = `copy ${table.name} (${namesOf(table)}, v) from stdin with (format csv${options})`
  await pipeline(Readable.from([`${lines.join('\n')}\n`]), client.query(copyFrom(copy)))
}

export function toAll({ rows }: BoundTable, value: WrittenValue): ReadonlyMap<string, WrittenValue> {
  return new Map(rows.map(({ key }) => [key, value]))
}

export const isTracked = (table: BoundTable) => (table === item ? `id < ${fillerFrom}` : 'true')

/** Runs an UPDATE, and tells which of the rows have been there. */
async function changed(
  client: pg.PoolClient,
  table: BoundTable,
  sql: string,
  value: string,
): Promise<Outcomes> {
  return outcomeIn(table, (await client.query(`${sql} returning ${namesOf(table)}`, [value])).rows)
}

/** Returns `nothing` for the keys whose rows are not among these. */
export function outcomeIn(table: BoundTable, rows: readonly Readonly<Record<string, unknown>>[]): Outcomes {
  const there = new Set(rows.map((row) => keyOf(table, row)))
  return (key) => (there.has(key) ? 'ok' : 'nothing')
}

export function upsert(row: BoundRow): string {
  return `insert into ${row.table.name} (${namesOf(row.table)}, v) values (${valuesOf(row)}, $1)
    on conflict (${namesOf(row.table)}) do update set v = excluded.v`
}

function one(
  kind: string,
  { key }: BoundRow,
  value: WrittenValue,
  send: (client: pg.PoolClient) => Promise<SqlOutcome>,
): Planned {
  return { kind, writes: new Map([[key, value]]), run: async (client) => all(await send(client)) }
}

export function inTransaction(work: (client: pg.PoolClient) => Promise<Outcomes>): Planned['run'] {
  return async (client) => {
    await client.query('begin')
    const outcome = await work(client)
    const { command } = await client.query('commit')
    return command === 'COMMIT' ? outcome : all('failed')
  }
}
