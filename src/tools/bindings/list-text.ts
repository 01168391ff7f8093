import { type BindingDefinition, isQueryDefinition } from '../../postgres/bindings/binding-definition.js'
import type { DefinedBinding } from '../../postgres/bindings/defined-bindings.js'
import { textTable } from '../../text/text-table.js'
import { columnsText } from './plan.js'

/** Returns the bindings as lines: a table, and below it each fault with its cure. */
export function bindingLines(bindings: readonly DefinedBinding[]): readonly string[] {
  const rows = bindings.map((binding) => [
    binding.key,
    isQueryDefinition(binding) ? Object.keys(binding.depends).sort().join(', ') : binding.table,
    isQueryDefinition(binding) ? `query${binding.many ? ', many' : ''}` : columnsText(binding),
    binding.group ?? '',
    isQueryDefinition(binding) ? 'outbox' : binding.announce,
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
  const shown = bindings.map((binding) => ({
    ...membersOf(binding),
    fault: binding.fault?.says ?? null,
    cure: binding.fault?.cure ?? null,
  }))
  return JSON.stringify(shown, undefined, 2)
}

function membersOf(binding: BindingDefinition): object {
  if (!isQueryDefinition(binding)) {
    const { key, table, columns = null, group = null, announce } = binding
    return { key, table, columns, group, announce }
  }
  const { key, query, depends, many, ttlSeconds = null, group = null, namesIn } = binding
  return { key, query, depends, many, ttl_seconds: ttlSeconds, group, names_in: namesIn }
}
