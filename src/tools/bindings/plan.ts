import {
  type BindingDefinition,
  bindStatement,
  unbindStatement,
} from '../../postgres/bindings/binding-definition.js'
import type { DefinedBinding } from '../../postgres/bindings/defined-bindings.js'

/** One change that makes the bindings of a database those of a file. */
export interface Step {
  readonly kind: 'added' | 'changed' | 'removed'
  readonly key: string
  readonly table: string
  /** Line of the file, if the binding is from a file. */
  readonly line: number | undefined
  readonly statement: string
  /** The change, in one line that begins with `+`, `~` or `-`. */
  readonly says: string
}

export interface Plan {
  /** In the order in which they must be taken: a pattern must be free before another one that overlaps it is bound. */
  readonly steps: readonly Step[]
  /** Bindings that only the database has, and that stay. */
  readonly kept: readonly DefinedBinding[]
  /** Bindings of the file that have a fault which binding them again does not remove. */
  readonly faulty: readonly DefinedBinding[]
}

export interface PlanInput {
  /** Quoted name of the cache's schema. */
  readonly schema: string
  readonly wanted: readonly (BindingDefinition & { readonly line?: number })[]
  readonly defined: readonly DefinedBinding[]
  /** Oids of the tables that `wanted` names. */
  readonly tables: ReadonlyMap<string, number>
  /** True to unbind what the file does not have. */
  readonly prune: boolean
}

/** Compares the bindings of a file with those of a database. */
export function planOf({ schema, wanted, defined, tables, prune }: PlanInput): Plan {
  const inFile = new Set(wanted.map(({ key }) => key))
  const others = defined.filter(({ key }) => !inFile.has(key))
  const removals = others.map(
    ({ key, table }): Step => ({
      kind: 'removed',
      key,
      table,
      line: undefined,
      statement: unbindStatement(schema, key),
      says: `- ${key}: ${table}`,
    }),
  )
  const before = new Map(defined.map((binding) => [binding.key, binding]))
  const bindings = wanted.flatMap((binding) => {
    const step = stepFor(binding, before.get(binding.key), tables.get(binding.table))
    const { table, line } = binding
    return step ? [{ ...step, table, line, statement: bindStatement(schema, binding) }] : []
  })
  const faulty = defined.filter(({ key, fault }) => inFile.has(key) && fault && !fault.isCuredByBinding)
  return { steps: [...(prune ? removals : []), ...bindings], kept: prune ? [] : others, faulty }
}

function stepFor(
  wanted: BindingDefinition,
  before: DefinedBinding | undefined,
  tableId: number | undefined,
): Pick<Step, 'kind' | 'key' | 'says'> | undefined {
  const { key, table } = wanted
  if (before === undefined) return { kind: 'added', key, says: `+ ${key}: ${table}${extrasOf(wanted)}` }
  const reasons = reasonsToChange(wanted, before, tableId)
  return reasons.length === 0 ? undefined : { kind: 'changed', key, says: `~ ${key}: ${reasons.join('; ')}` }
}

function extrasOf({ columns, group, announce }: BindingDefinition): string {
  return [
    columns ? `, columns ${columns.join(', ')}` : '',
    group === undefined ? '' : `, group ${group}`,
    announce === 'outbox' ? '' : `, announced by ${announce}`,
  ].join('')
}

function reasonsToChange(
  wanted: BindingDefinition,
  before: DefinedBinding,
  tableId: number | undefined,
): readonly string[] {
  const reasons: string[] = []
  // If the table was replaced by another one of its name, the fault says so.
  if (before.fault?.isCuredByBinding) reasons.push(before.fault.says)
  else if (tableId !== before.tableId) reasons.push(`table ${wanted.table}, which was ${before.table}`)
  if (columnsText(wanted) !== columnsText(before))
    reasons.push(`columns ${columnsText(wanted)}, which were ${columnsText(before)}`)
  if (wanted.group !== before.group)
    reasons.push(`group ${wanted.group ?? 'none'}, which was ${before.group ?? 'none'}`)
  if (wanted.announce !== before.announce)
    reasons.push(`announced by ${wanted.announce}, which was ${before.announce}`)
  return reasons
}

/** Returns the columns of the answer in words. */
export function columnsText({ columns }: Pick<BindingDefinition, 'columns'>): string {
  return columns?.join(', ') ?? 'all'
}
