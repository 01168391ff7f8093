import { setTimeout as sleep } from 'node:timers/promises'
import type { BoundAccess } from './bound-access.js'
import { inTransaction, ok, upsert } from './bound-statements.js'
import type { BoundRow } from './bound-tables.js'

/** Changes these rows in one transaction. Resolves to true if it was acknowledged. */
export function changeTogether(
  { value, carryOut }: BoundAccess,
  rows: readonly BoundRow[],
): Promise<boolean> {
  const given = value('held')
  return carryOut('held', {
    kind: 'held in the outbox',
    writes: new Map(rows.map(({ key }) => [key, given])),
    run: inTransaction(async (client) => {
      for (const row of rows) await client.query(upsert(row), [given])
      return ok
    }),
  })
}

export interface Reading {
  /** Resolves when every sidecar has answered every row from memory, or after `limitMs`. */
  readonly inMemory: Promise<void>
  readonly stop: () => Promise<void>
}

/** Reads these rows through all sidecars again and again, until `stop` is called. */
export function readRepeatedly(
  { readEverywhere }: BoundAccess,
  rows: readonly BoundRow[],
  { everyMs, limitMs }: { readonly everyMs: number; readonly limitMs: number },
): Reading {
  let isOver = false
  let report: () => void = () => undefined
  const reported = new Promise<void>((resolve) => {
    report = resolve
  })
  const loop = async () => {
    while (!isOver) {
      const answers = (await Promise.all(rows.map((row) => readEverywhere('held', row)))).flat()
      if (answers.every((answer) => answer.kind === 'entry' && answer.source === 'cache' && !answer.stale))
        report()
      await sleep(everyMs)
    }
  }
  const looping = loop()
  return {
    inMemory: Promise.race([reported, sleep(limitMs)]),
    stop: () => {
      isOver = true
      return looping
    },
  }
}
