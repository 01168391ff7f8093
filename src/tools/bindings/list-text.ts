import type { DefinedBinding } from '../../postgres/bindings/defined-bindings.js'
import { textTable } from '../../text/text-table.js'
import { columnsText } from './plan.js'

/** Returns the bindings as lines: a table, and below it each fault with its cure. */
export function bindingLines(bindings: readonly DefinedBinding[]): readonly string[] {
  const rows = bindings.map((binding) => [
    binding.key,
    binding.table,
    columnsText(binding),
    binding.group ?? '',
    binding.announce,
    binding.fault ? 'unusable' : 'ok',
  ])
  return [
    ...textTable([['KEY', 'TABLE', 'COLUMNS', 'GROUP', 'ANNOUNCE', 'STATE'], ...rows]),
    ...faultLines(bindings),
  ]
}

/** Returns a line for each binding that cannot be used, with the cure. */
export function faultLines(bindings: readonly DefinedBinding[]): readonly string[] {
  return bindings.flatMap(({ key, fault }) => (fault ? [`${key}: ${fault.says} → ${fault.cure}`] : []))
}

/** Returns the bindings for scripts. */
export function bindingsJson(bindings: readonly DefinedBinding[]): string {
  const shown = bindings.map(({ key, table, columns = null, group = null, announce, fault }) => ({
    key,
    table,
    columns,
    group,
    announce,
    fault: fault?.says ?? null,
    cure: fault?.cure ?? null,
  }))
  return JSON.stringify(shown, undefined, 2)
}
