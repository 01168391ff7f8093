import { type BindingDefinition, isQueryDefinition } from '../../postgres/bindings/binding-definition.js'
import type { BindingSession } from '../../postgres/bindings/binding-session.js'
import { planOf } from './plan.js'

export interface RestoredBindings {
  /** Number of bindings that were made or changed. */
  readonly bound: number
  /** Bindings that could not be made, each with the reason, in one line. */
  readonly refused: readonly string[]
}

export interface RestorationOptions {
  /** True to leave a binding as it is if the database has one of the same key. */
  readonly onlyMissing: boolean
}

/** Makes the bindings of a backup. One that the database refuses does not keep the others from being made. */
export async function restoreBindings(
  session: BindingSession,
  wanted: readonly BindingDefinition[],
  { onlyMissing }: RestorationOptions,
): Promise<RestoredBindings> {
  const tables = await session.tablesNamed(
    wanted.flatMap((binding) => (isQueryDefinition(binding) ? [] : [binding.table])),
  )
  const { steps } = planOf({
    schema: await session.quotedSchema(),
    wanted,
    defined: await session.defined(),
    tables,
    prune: false,
  })
  let bound = 0
  const refused: string[] = []
  for (const { kind, key, table, statement } of steps) {
    if (onlyMissing && kind === 'changed') continue
    const isThere = table === undefined || tables.has(table)
    const reason = isThere ? await session.attempt(statement) : `there is no table ${table}`
    if (reason === undefined) bound++
    else refused.push(`${key} was not bound: ${reason}`)
  }
  return { bound, refused }
}
