/** Settings of the session that change how values are written as JSON, and what they are set to while rows are read. */
const pinned = {
  TimeZone: 'UTC',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'iso_8601',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
}

type Setting = keyof typeof pinned

const allSettings = Object.keys(pinned) as Setting[]

/** Types whose JSON depends on one setting at most. Dates and timestamps are always written as ISO 8601 says. */
const settingsByType: ReadonlyMap<string, readonly Setting[]> = new Map<string, readonly Setting[]>([
  ...[
    ...[
      'boolean',
      'smallint',
      'integer',
      'bigint',
      'numeric',
      'text',
      'character varying',
      'character',
      'uuid',
    ],
    ...['json', 'jsonb', 'date', 'timestamp without time zone', 'time without time zone', 'inet', 'enum'],
  ].map((type): [string, readonly Setting[]] => [type, []]),
  ['timestamp with time zone', ['TimeZone']],
  ['interval', ['IntervalStyle']],
  ['bytea', ['bytea_output']],
  ['real', ['extra_float_digits']],
  ['double precision', ['extra_float_digits']],
])

/**
 * Returns SQL of type boolean that sets, for the statement, the settings on which the JSON of these types depends: all
 * of them for a type that is not known here, such as a range or a composite type. Each setting costs a read about 1 µs.
 *
 * @param types names as format_type() returns them, and `enum`
 */
export function pinningSettings(types: readonly string[]): string {
  const settings = new Set(
    types.flatMap((type) => settingsByType.get(type.replace(/\[\]$/, '')) ?? allSettings),
  )
  const calls = [...settings].map((name) => `set_config('${name}', '${pinned[name]}', true) is not null`)
  return calls.length === 0 ? 'true' : calls.join(' and ')
}
