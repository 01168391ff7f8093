import type { BindingShape } from '../../src/postgres/bindings/binding-fault.js'

/** A bound table without a fault, as an inspection finds it. */
export const soundTable: BindingShape = {
  pattern: 'line:{no}:{day}',
  bound_name: 'public.line',
  table: 'public.line',
  kind: 'r',
  is_replaced: false,
  key_columns: ['no', 'day'],
  key_types: ['bigint', 'date'],
  missing_columns: [],
  columns: null,
  group_name: null,
  announce: 'outbox',
  closed_schema: null,
  has_unique_index: true,
  has_relatives: false,
  has_foreign_partitions: false,
  has_other_columns: false,
  missing_triggers: [],
  unwatched_partitions: [],
  may_read: true,
  role: 'app',
}
