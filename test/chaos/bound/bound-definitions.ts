import type pg from 'pg'
import { inspectNow } from '../../support/held-answers.js'
import {
  inTransaction,
  isTracked,
  type Outcomes,
  ok,
  outcomeIn,
  type Planned,
  toAll,
} from './bound-statements.js'
import {
  type BoundTable,
  bindingOf,
  item,
  line,
  measure,
  mood,
  namesOf,
  relabelled,
  toggle,
} from './bound-tables.js'

/**
 * Statements that change definitions, and rows without a trigger that fires. All of them announce that, so the bound on
 * staleness holds. The value is one that the rows have afterwards.
 */
export const definitions: readonly ((value: string) => Planned)[] = [
  () => definition('ADD COLUMN', 'alter table shop.item add column if not exists extra int default 7'),
  () => definition('DROP COLUMN', 'alter table shop.item drop column if exists extra'),
  () =>
    definition(
      'rename of a column',
      `do $$ begin
         alter table shop.item rename column note to remark;
       exception when undefined_column then
         alter table shop.item rename column remark to note;
       end $$`,
    ),
  () => definition('cache_bind in place', bindingOf(line, "array['code', 'v', 'ref']")),
  () => definition('cache_bind in place', bindingOf(line)),
  () => definition('announced in another way', bindingOf(item, 'null', 'notify')),
  () => definition('announced in another way', bindingOf(item)),
  () =>
    definition(
      'unbound and bound in one transaction',
      `select cache_unbind('${item.pattern}'); ${bindingOf(item)}`,
    ),
  (value) => silent('RENAME VALUE of an enum', mood, value, relabelled(value)),
  (value) =>
    silent(
      'ADD COLUMN ... DEFAULT',
      line,
      value,
      `alter table shop.line drop column v; alter table shop.line add column v text default '${value}'`,
    ),
  (value) => rewrite(item, value),
  (value) => rewrite(measure, value),
  (value) =>
    silent(
      'UPDATE while triggers are disabled',
      line,
      value,
      `alter table shop.line disable trigger user; update shop.line set v = '${value}'; ${bindingOf(line)}`,
    ),
  () => {
    const rows = measure.rows.filter(({ values }) => values[0] === 'us')
    return {
      kind: 'TRUNCATE of a partition',
      writes: new Map(rows.map(({ key }) => [key, null])),
      run: defining((client) => client.query('truncate shop.measure_us').then(() => ok)),
    }
  },
  (value) => {
    const rows = measure.rows.filter(({ values }) => values[0] === 'us')
    return {
      kind: 'UPDATE of a detached partition',
      writes: new Map(rows.map(({ key }) => [key, value])),
      run: defining(async (client) => {
        await client.query('alter table shop.measure detach partition shop.measure_us')
        const { rows } = await client.query('update shop.measure_us set v = $1 returning region, id', [value])
        await client.query(`alter table shop.measure attach partition shop.measure_us for values in ('us')`)
        return outcomeIn(measure, rows)
      }),
    }
  },
]

/**
 * Binds the table with other rows, or ends its binding: then its keys are read as entries, of which there are none. If
 * it is silent, sidecars notice it with their next probe.
 */
export function toggled(value: string | null, isSilent = false): Planned {
  return {
    kind: value === null ? 'cache_unbind' : 'cache_bind',
    writes: toAll(toggle, value),
    run: (isSilent ? unannounced : defining)(async (client) => {
      if (value === null) {
        await client.query('select cache_unbind($1)', [toggle.pattern])
        // No trigger announces it. A sidecar may know the former bindings for as long as L, and read the table once more.
        await client.query('delete from shop.toggle')
        return ok
      }
      await client.query(
        `insert into shop.toggle select n, $1 from generate_series(1, ${toggle.rows.length}) as n
         on conflict (id) do update set v = excluded.v`,
        [value],
      )
      await client.query(bindingOf(toggle))
      return ok
    }),
  }
}

function rewrite(table: BoundTable, value: string): Planned {
  const values = `case when ${isTracked(table)} then '${value}' else v end`
  const sql = `alter table ${table.name} alter column v type text using ${values}`
  return { ...silent('rewrite', table, value, sql), isRewrite: true }
}

function definition(kind: string, sql: string): Planned {
  return { kind, writes: new Map(), run: defining((client) => client.query(sql).then(() => ok)) }
}

function silent(kind: string, table: BoundTable, value: string, sql: string): Planned {
  return {
    kind,
    writes: toAll(table, value),
    run: defining(async (client) => {
      await client.query(sql)
      const { rows } = await client.query(`select ${namesOf(table)} from ${table.name} where v = $1`, [value])
      return outcomeIn(table, rows)
    }),
  }
}

/** The trigger that announces other bindings does not fire in the replica role. */
function unannounced(work: (client: pg.PoolClient) => Promise<Outcomes>): Planned['run'] {
  return inTransaction(async (client) => {
    await client.query("set local lock_timeout = '1s'; set local session_replication_role = replica")
    return work(client)
  })
}

export function defining(work: (client: pg.PoolClient) => Promise<Outcomes>): Planned['run'] {
  return inTransaction(async (client) => {
    await client.query("set local lock_timeout = '1s'")
    const outcome = await work(client)
    await client.query(inspectNow)
    return outcome
  })
}
