import { type BindingSession, withBindings } from '../../postgres/bindings/binding-session.js'
import { didYouMean } from '../../text/did-you-mean.js'
import type { FileFault, WrittenBinding } from './bindings-file.js'
import { type Plan, planOf } from './plan.js'

export interface ApplicationOptions {
  readonly url: string
  readonly stop: AbortSignal
  /** True to unbind what the file does not have. */
  readonly prune: boolean
  /** False to find out only what would change. */
  readonly isChanging: boolean
}

/** Bindings that cannot be made. Nothing was changed. */
export class BindingsRefused extends Error {
  override readonly name = 'BindingsRefused'
  readonly faults: readonly FileFault[]

  constructor(faults: readonly FileFault[]) {
    super(faults.map(({ line, says }) => `line ${line}: ${says}`).join('\n'))
    this.faults = faults
  }
}

/**
 * Makes the bindings of a database those of a file, in one transaction, and returns the changes. Rejects with
 * BindingsRefused, or with an Error whose message is one line.
 */
export function applyBindings(wanted: readonly WrittenBinding[], options: ApplicationOptions): Promise<Plan> {
  return withBindings(options, async (session) => {
    const namesIn = await session.searchPath()
    const plan = planOf({
      schema: await session.quotedSchema(),
      wanted: wanted.map((binding) =>
        'query' in binding ? { ...binding, namesIn: binding.namesIn ?? namesIn } : binding,
      ),
      defined: await session.defined(),
      tables: await existingTables(session, wanted),
      prune: options.prune,
    })
    if (options.isChanging) await take(session, plan)
    else await refuseOverlaps(session, plan, wanted)
    return plan
  })
}

/** Returns the oids of the tables that the bindings name. Throws BindingsRefused if there is no table of some name. */
async function existingTables(
  session: BindingSession,
  wanted: readonly WrittenBinding[],
): Promise<ReadonlyMap<string, number>> {
  const ofTables = wanted.flatMap((binding) => ('table' in binding ? [binding] : []))
  const tables = await session.tablesNamed(ofTables.map(({ table }) => table))
  const missing = ofTables.filter(({ table }) => !tables.has(table))
  if (missing.length === 0) return tables
  const names = await session.tableNames()
  throw new BindingsRefused(
    missing.map(({ table, line }) => ({
      line,
      says: `there is no table ${table}${didYouMean(table, names)}`,
    })),
  )
}

/** Throws BindingsRefused if a pattern that would be added can match the same keys as another one. */
async function refuseOverlaps(
  session: BindingSession,
  { steps, kept }: Plan,
  wanted: readonly WrittenBinding[],
): Promise<void> {
  const lines = new Map(
    steps.flatMap(({ kind, key, line = 1 }) => (kind === 'added' ? [[key, line] as const] : [])),
  )
  const others = [...kept, ...wanted].map(({ key }) => key).filter((key) => !lines.has(key))
  const overlaps = await session.overlaps(others, [...lines.keys()])
  if (overlaps.length === 0) return
  throw new BindingsRefused(
    overlaps.map(({ key, other }) => ({
      line: lines.get(key) ?? 1,
      says:
        `${key}: ${key} and ${other} can match the same key → ` +
        `Begin one of them with another text, or unbind ${other} first`,
    })),
  )
}

/** Takes all steps, to name every one that is refused. Throws BindingsRefused. */
async function take(session: BindingSession, { steps }: Plan): Promise<void> {
  const faults: FileFault[] = []
  for (const { statement, key, line = 1 } of steps) {
    const reason = await session.attempt(statement)
    if (reason !== undefined) faults.push({ line, says: `${key}: ${reason}` })
  }
  if (faults.length > 0) throw new BindingsRefused(faults)
}
