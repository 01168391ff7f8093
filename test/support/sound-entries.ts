import type { TableShape } from '../../src/postgres/schema/table-shape.js'

/** The table of entries without a fault, as an inspection finds it. */
export const soundEntries: TableShape = {
  schema: 'public',
  kind: 'r',
  channel: 'c',
  queue_usage: 0,
  key_type: 'text',
  key_is_exact: true,
  has_unique_key: true,
  value_type: 'text',
  odd_columns: [],
  foreign_owner: null,
  untying: [],
  lacks: [],
  has_nullable_value: false,
  rules: [],
  missing: [],
  disabled: [],
  functions_schema: 'public',
  is_up_to_date: true,
  fingerprint: 'f',
}
