import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../support/random.js'
import type { BoundAccess } from './bound-access.js'
import { inTransaction, ok, type Planned, upsert, upserted } from './bound-statements.js'
import { type BoundRow, isRow, slow } from './bound-tables.js'

/** Most time in ms in which the reads must have reached the server. */
const mostWaitMs = 400
/** Number of changes before the one of the row that is read, in one transaction: fewer than are announced as any key. */
const burst = 4_500

/**
 * Changes a row while every sidecar reads it, and leaves it alone after that. If one of them puts what it has read, or if
 * the change is not announced, nothing repairs it, and the last read shows it.
 */
export async function race(by: string, row: BoundRow, access: BoundAccess): Promise<void> {
  const { random, maxStalenessMs, fleetSize, value, carryOut, readSlowly, readEverywhere } = access
  // Nobody holds the row after that.
  if (!(await carryOut(by, upserted(row, value(by))))) return
  await sleep(random.between(100, 300))
  let reads: Promise<unknown> = Promise.resolve()
  let isDone = false
  await readSlowly(row, async (waiting) => {
    const beganMs = performance.now()
    reads = readEverywhere(by, row)
    do await sleep(20)
    while ((await waiting()) < fleetSize && performance.now() - beganMs < mostWaitMs)
    isDone = await carryOut(by, changeOf(row, value(by), random))
    // The change is announced meanwhile.
    await sleep(random.between(100, 500))
  })
  await reads
  if (!isDone) return
  // Once in memory, once after the time in which the old row may be served.
  await readEverywhere(by, row)
  await sleep(maxStalenessMs + random.between(100, 600))
  await readEverywhere(by, row)
}

function changeOf(row: BoundRow, value: string, random: Random): Planned {
  const kind = random.next()
  if (kind < 0.15)
    return {
      kind: 'DELETE, during a fill',
      writes: new Map([[row.key, null]]),
      run: (client) =>
        client.query(`delete from ${slow.name} where ${isRow(slow, 1)}`, [...row.values]).then(() => ok),
    }
  if (kind < 0.35)
    return {
      kind: `after ${burst} other rows`,
      writes: new Map([[row.key, value]]),
      run: inTransaction(async (client) => {
        const [number] = row.values
        const first = Number(number) * 100_000
        // Rows of its own, for which it waits for nobody.
        await client.query(
          'insert into shop.held (id) select generate_series($1::int, $1::int + $2::int - 1)',
          [first, burst / 2],
        )
        await client.query('delete from shop.held where id between $1::int and $1::int + $2::int', [
          first,
          burst,
        ])
        await client.query(upsert(row), [value])
        return ok
      }),
    }
  if (kind < 0.55)
    return {
      kind: 'committed late',
      writes: new Map([[row.key, value]]),
      run: inTransaction(async (client) => {
        await client.query(upsert(row), [value])
        await client.query('select pg_sleep($1)', [random.between(0.05, 0.3)])
        return ok
      }),
    }
  return { ...upserted(row, value), kind: 'during a fill' }
}
