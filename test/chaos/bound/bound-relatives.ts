import { defining } from './bound-definitions.js'
import { inTransaction, ok, type Planned, toAll } from './bound-statements.js'
import { type BoundRow, measure, movingPartition, part } from './bound-tables.js'

/** Owners whose rows of `part` are cold. */
const owners = [3, 4] as const
const partsOf = (owner: number) => part.rows.filter(({ values }) => values[0] === owner)

/**
 * Statements on the table that `part` refers to, which change `part` by a cascade.
 *
 * @param share a number from 0 to 1
 */
export function cascade(share: number, value: string): Planned {
  const [from, to] = share < 0.5 ? owners : ([owners[1], owners[0]] as const)
  if (share > 0.95) return truncated()
  return share % 0.5 < 0.15 ? deleted(from) : renumbered(from, to, value)
}

/** Moves the rows of one owner to another one. Their former keys are announced as well. */
function renumbered(from: number, to: number, value: string): Planned {
  const keys = (rows: readonly BoundRow[], given: string | null) =>
    rows.map(({ key }): [string, string | null] => [key, given])
  return {
    kind: 'ON UPDATE CASCADE',
    writes: new Map([...keys(partsOf(from), null), ...keys(partsOf(to), value)]),
    run: inTransaction(async (client) => {
      await client.query('delete from shop.owner where id = $1', [to])
      await client.query(
        `insert into shop.part (owner, id, v) select $1, n, $2 from generate_series(1, ${partsOf(from).length}) as n
         on conflict (owner, id) do update set v = excluded.v`,
        [from, value],
      )
      await client.query('update shop.owner set id = $2 where id = $1', [from, to])
      await client.query('insert into shop.owner values ($1)', [from])
      return ok
    }),
  }
}

function deleted(owner: number): Planned {
  return {
    kind: 'ON DELETE CASCADE',
    writes: new Map(partsOf(owner).map(({ key }) => [key, null])),
    run: inTransaction(async (client) => {
      await client.query('delete from shop.owner where id = $1', [owner])
      await client.query('insert into shop.owner values ($1)', [owner])
      return ok
    }),
  }
}

function truncated(): Planned {
  return {
    kind: 'TRUNCATE CASCADE',
    writes: toAll(part, null),
    run: inTransaction(async (client) => {
      await client.query("set local lock_timeout = '1s'")
      await client.query('truncate shop.owner cascade')
      await client.query('insert into shop.owner select generate_series(1, 4)')
      return ok
    }),
  }
}

/** Attaches a partition, whose rows have this value; null: detaches it. Both announce nothing but a definition. */
export function repartitioned(value: string | null): Planned {
  const name = 'shop.measure_cn'
  return {
    kind: value === null ? 'DETACH' : 'ATTACH of a partition with rows',
    writes: new Map(movingPartition.map(({ key }) => [key, value])),
    run: defining(async (client) => {
      if (value === null) {
        await client.query(`alter table ${measure.name} detach partition ${name}`)
        // A snapshot from before it is attached again shows the rows that it has by then.
        await client.query(`truncate ${name}`)
        return ok
      }
      await client.query(`delete from ${name}`)
      for (const { values } of movingPartition)
        await client.query(`insert into ${name} (region, id, v) values ($1, $2, $3)`, [...values, value])
      await client.query(
        `alter table ${measure.name} attach partition ${name} for values in ('${movingPartition[0]?.values[0]}')`,
      )
      return ok
    }),
  }
}
