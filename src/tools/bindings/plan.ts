import {
  type BindingDefinition,
  bindStatement,
  isQueryDefinition,
  type QueryDefinition,
  type TableDefinition,
  unbindStatement,
} from '../../postgres/bindings/binding-definition.js'
import type { DefinedBinding } from '../../postgres/bindings/defined-bindings.js'

/** One change that makes the bindings of a database those of a file. */
export interface Step {
  readonly kind: 'added' | 'changed' | 'removed'
  readonly key: string
  /** Name of the table; undefined for a query. */
  readonly table: string | undefined
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
    (binding): Step => ({
      kind: 'removed',
      key: binding.key,
      table: tableOf(binding),
      line: undefined,
      statement: unbindStatement(schema, binding.key),
      says: `- ${binding.key}: ${sourceText(binding)}`,
    }),
  )
  const before = new Map(defined.map((binding) => [binding.key, binding]))
  const bindings = wanted.flatMap((binding) => {
    const table = tableOf(binding)
    const step = stepFor(
      binding,
      before.get(binding.key),
      table === undefined ? undefined : tables.get(table),
    )
    return step ? [{ ...step, table, line: binding.line, statement: bindStatement(schema, binding) }] : []
  })
  const faulty = defined.filter(({ key, fault }) => inFile.has(key) && fault && !fault.isCuredByBinding)
  return { steps: [...(prune ? removals : []), ...bindings], kept: prune ? [] : others, faulty }
}

function stepFor(
  wanted: BindingDefinition,
  before: DefinedBinding | undefined,
  tableId: number | undefined,
): Pick<Step, 'kind' | 'key' | 'says'> | undefined {
  const { key } = wanted
  if (before === undefined)
    return { kind: 'added', key, says: `+ ${key}: ${sourceText(wanted)}${extrasOf(wanted)}` }
  const reasons = reasonsToChange(wanted, before, tableId)
  return reasons.length === 0 ? undefined : { kind: 'changed', key, says: `~ ${key}: ${reasons.join('; ')}` }
}

function extrasOf(binding: BindingDefinition): string {
  const { group } = binding
  const inGroup = group === undefined ? '' : `, group ${group}`
  if (isQueryDefinition(binding)) {
    const { many, ttlSeconds } = binding
    const ttl = ttlSeconds === undefined ? '' : `, held for ${ttlSeconds} seconds`
    return `${many ? ', many rows' : ''}${ttl}${inGroup}`
  }
  const { columns, announce } = binding
  return [
    columns ? `, columns ${columns.join(', ')}` : '',
    inGroup,
    announce === 'outbox' ? '' : `, announced by ${announce}`,
  ].join('')
}

function reasonsToChange(
  wanted: BindingDefinition,
  before: DefinedBinding,
  tableId: number | undefined,
): readonly string[] {
  const reasons: string[] = []
  // If a table was replaced by another one of its name, the fault says so.
  if (before.fault?.isCuredByBinding) reasons.push(before.fault.says)
  if (before.ownerFault !== undefined) reasons.push(before.ownerFault)
  if (before.isRestored)
    reasons.push('the database was restored, and each changed row costs more until it is bound again')
  if (isQueryDefinition(wanted) && isQueryDefinition(before)) reasons.push(...queryReasons(wanted, before))
  else if (!isQueryDefinition(wanted) && 'tableId' in before) {
    if (!before.fault?.isCuredByBinding && tableId !== before.tableId)
      reasons.push(`table ${wanted.table}, which was ${before.table}`)
    reasons.push(...tableReasons(wanted, before))
  } else reasons.push(`${sourceText(wanted)}, which was ${sourceText(before)}`)
  if (wanted.group !== before.group)
    reasons.push(`group ${wanted.group ?? 'none'}, which was ${before.group ?? 'none'}`)
  return reasons
}

function tableReasons(wanted: TableDefinition, before: TableDefinition): readonly string[] {
  return [
    ...(columnsText(wanted) === columnsText(before)
      ? []
      : [`columns ${columnsText(wanted)}, which were ${columnsText(before)}`]),
    ...(wanted.announce === before.announce
      ? []
      : [`announced by ${wanted.announce}, which was ${before.announce}`]),
  ]
}

function queryReasons(wanted: QueryDefinition, before: QueryDefinition): readonly string[] {
  const rows = ({ many }: QueryDefinition) => (many ? 'many rows' : 'one row')
  const ttl = ({ ttlSeconds }: QueryDefinition) =>
    ttlSeconds === undefined ? 'none' : `${ttlSeconds} seconds`
  return [
    ...(wanted.query.trim() === before.query.trim() ? [] : ['another query']),
    ...(dependsText(wanted) === dependsText(before) ? [] : ['other dependencies']),
    ...(wanted.many === before.many ? [] : [`${rows(wanted)}, which were ${rows(before)}`]),
    ...(ttl(wanted) === ttl(before) ? [] : [`ttl ${ttl(wanted)}, which was ${ttl(before)}`]),
    ...(wanted.namesIn === before.namesIn
      ? []
      : [`names in ${wanted.namesIn}, which were in ${before.namesIn}`]),
  ]
}

/** Returns the dependencies as a text, which is the same for the same ones. */
function dependsText({ depends }: QueryDefinition): string {
  const ways = Object.entries(depends).map(([table, way]): [string, readonly string[]] => [
    table,
    [way].flat(),
  ])
  return JSON.stringify(ways.sort(([one], [other]) => (one < other ? -1 : 1)))
}

function tableOf(binding: BindingDefinition): string | undefined {
  return isQueryDefinition(binding) ? undefined : binding.table
}

/** Returns what a binding reads in words. */
export function sourceText(binding: BindingDefinition): string {
  return tableOf(binding) ?? 'a query'
}

/** Returns the columns of the answer in words. */
export function columnsText({ columns }: Pick<TableDefinition, 'columns'>): string {
  return columns?.join(', ') ?? 'all'
}
