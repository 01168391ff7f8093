import type { FleetMember } from '../../core/state/fleet-member.js'
import { exactMs, exactNumber } from '../schema/exact-number.js'
import { oidOf, quoteIdentifier } from '../schema/schema-owner.js'

/** Time for which the row of a sidecar that may be idle is kept, in seconds. */
export const idleKeptSeconds = 86_400
/** Most sidecars that are listed. */
const maxListed = 1_000

/** Values of a row, by its columns. All times are in seconds. */
const values = {
  sidecar: '$1::text',
  version: '$2::text',
  host: '$3::text',
  address: '$4::text',
  page_port: '$5::int',
  started_at: after('-$6::float8'),
  status: '$7::text',
  lag_ms: '$8::int',
  hit_ratio: '$9::float8',
  reads_per_second: '$10::float8',
  entries: '$11::int',
  seen_at: 'now()',
  due_at: after('$12::float8'),
  may_be_idle: '$13::boolean',
  expires_at: after('$14::float8'),
}

/**
 * Returns the statement that writes the row of a sidecar, and removes rows that have expired. $1 identifies the sidecar,
 * $2 to $11 are the members of MemberState, $12 is the time until the row is written again at the latest, $13 is true
 * if the sidecar may be idle by then, and $14 is the time for which the row is kept.
 *
 * Rows are removed after the sidecar has its own row, and locked ones are skipped. So no two of these statements can
 * wait for each other.
 */
export function heartbeatStatement(schemaName: string): string {
  const sidecars = `${quoteIdentifier(schemaName)}.cache_sidecars`
  const [, ...others] = Object.keys(values)
  return `
  with own as (
    insert into ${sidecars} (${Object.keys(values).join(', ')})
    values (${Object.values(values).join(', ')})
    on conflict (sidecar) do update set ${others.map((column) => `${column} = excluded.${column}`).join(', ')}
    returning sidecar
  )
  delete from ${sidecars}
  where sidecar in (
    select expired.sidecar from own, ${sidecars} as expired
    where expired.expires_at < now() and expired.sidecar <> own.sidecar
    for update of expired skip locked
  )`
}

/** Returns the statement that removes the row of the sidecar $1. */
export function leaveStatement(schemaName: string): string {
  return `delete from ${quoteIdentifier(schemaName)}.cache_sidecars where sidecar = $1::text`
}

export type MemberRow = Omit<FleetMember, 'isSelf'>

/** Returns the query for all sidecars whose rows have not expired. */
export function fleetQuery(schemaName: string): string {
  return `
  select sidecar, version, host, address, page_port as "pagePort", ${msSince('started_at')} as "upMs",
    case when due_at >= now() then status when may_be_idle then 'idle'::text else 'silent'::text end as status,
    lag_ms as "lagMs", ${finite('hit_ratio')} as "hitRatio", ${finite('reads_per_second')} as "readsPerSecond", entries,
    ${msSince('seen_at')} as "seenMsAgo"
  from ${quoteIdentifier(schemaName)}.cache_sidecars
  where expires_at >= now()
  order by host, page_port, sidecar limit ${maxListed}`
}

/** Answer of `fleetObstacle`. */
export interface ObstacleRow {
  /** Reason why the statements cannot run, such as a missing right; null if there is none. */
  readonly obstacle: string | null
  /** True on a standby, and on a primary that accepts no writes at the moment. */
  readonly isReadOnly: boolean
}

/** Returns a query for everything that would make the statements fail. */
export function fleetObstacle(schemaName: string): string {
  const table = oidOf(schemaName, 'cache_sidecars')
  const may = (right: string) => `has_table_privilege(${table}, '${right}')`
  return `select case
      when ${table} is null then 'sql/0014_fleet.sql is not applied'
      when not (${['select', 'insert', 'update', 'delete'].map(may).join(' and ')})
        then 'the role may not select, insert, update and delete in cache_sidecars'
    end as obstacle, current_setting('transaction_read_only') = 'on' as "isReadOnly"`
}

function after(seconds: string): string {
  return `now() + make_interval(secs => ${seconds})`
}

function msSince(column: string): string {
  return exactMs(`now() - ${column}`)
}

/** Null for NaN and Infinity, which only another program can have written. */
function finite(column: string): string {
  return exactNumber(`case when abs(${column}) < 'infinity'::float8 then ${column}::numeric end`)
}
