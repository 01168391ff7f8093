import type pg from 'pg'
import { exactMs, exactNumber } from '../../postgres/schema/exact-number.js'
import { quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { bad, type Finding, ok, runAs } from './finding.js'

const oldestVersion = 140_000
const fullQueue = 0.5
/**
 * Difference from which the finding is `bad`. Nothing in the cache depends on equal clocks, but comparing logs does.
 */
const largeClockDifferenceMs = 5_000

interface ServerRow {
  readonly version: number
  readonly version_text: string
  readonly encoding: string
  readonly is_standby: boolean
  readonly queue_usage: number
  readonly now_ms: number
}

/** Checks version, encoding, role, notification queue and clock of the server. */
export async function lookAtServer(client: pg.Client, now: () => number): Promise<readonly Finding[]> {
  const askedMs = now()
  const { rows } = await client.query<ServerRow>(
    `select current_setting('server_version_num')::int as version,
            current_setting('server_version') as version_text,
            current_setting('server_encoding') as encoding,
            pg_is_in_recovery() as is_standby,
            ${exactNumber('pg_notification_queue_usage()::numeric')} as queue_usage,
            ${exactMs('clock_timestamp()')} as now_ms`,
  )
  const clockMs = (askedMs + now()) / 2
  const row = rows[0] as ServerRow
  return [
    row.version >= oldestVersion
      ? ok('version', `PostgreSQL ${row.version_text}`)
      : bad('version', `PostgreSQL ${row.version_text}`, 'use PostgreSQL 14 or later'),
    row.encoding === 'UTF8'
      ? ok('encoding', row.encoding)
      : bad(
          'encoding',
          row.encoding,
          'keys and values may be any Unicode: create the database with encoding UTF8',
        ),
    row.is_standby
      ? bad(
          'primary',
          'this server is a standby',
          'DATABASE_URL and DATABASE_LISTEN_URL must lead to the primary',
        )
      : ok('primary', 'this server is a primary'),
    row.queue_usage <= fullQueue
      ? ok('notification queue', `${percent(row.queue_usage)} full`)
      : bad(
          'notification queue',
          `${percent(row.queue_usage)} full; when it is full, no write can commit`,
          'a listening session is in an open transaction: ' +
            "end it (pg_stat_activity, state 'idle in transaction', oldest xact_start)",
        ),
    clockFinding(row.now_ms - clockMs),
  ]
}

function clockFinding(differenceMs: number): Finding {
  const text = `${Math.abs(differenceMs / 1_000).toFixed(1)} s ${differenceMs < 0 ? 'behind' : 'ahead of'} this machine`
  if (Math.abs(differenceMs) <= largeClockDifferenceMs) return ok('clock', `the server's is ${text}`)
  return bad(
    'clock',
    `the server's is ${text}`,
    'run NTP on both: the cache does not need it, but your logs do',
  )
}

interface BudgetRow {
  readonly most: number
  /** Number of other sessions: on the server, of this role, in this database. */
  readonly others: number
  readonly role_others: number
  readonly database_others: number
  /** Number of sidecars in these places. */
  readonly feeds: number
  readonly role_feeds: number
  readonly database_feeds: number
  readonly role_limit: number
  readonly database_limit: number
  readonly role: string
  readonly database: string
}

export interface BudgetOptions {
  /** Number of sidecars to plan for; undefined for those that are running now. */
  readonly sidecars: number | undefined
  /** Maximum number of connections of each sidecar. */
  readonly connectionsEach: number
}

/**
 * Checks that there are enough connections for the whole fleet. The server may hide everything but the database and the
 * role of other roles' sessions.
 */
export async function lookAtBudget(
  client: pg.Client,
  { sidecars, connectionsEach }: BudgetOptions,
): Promise<Finding> {
  const { rows } = await client.query<BudgetRow>(
    `select current_setting('max_connections')::int
              - current_setting('superuser_reserved_connections')::int
              - coalesce(current_setting('reserved_connections', true)::int, 0) as most,
            others.*, feeds.*,
            (select rolconnlimit from pg_roles where rolname = current_user) as role_limit,
            (select datconnlimit from pg_database where datname = current_database()) as database_limit,
            current_user::text as role, current_database()::text as database
     from (
       select pg_catalog.count(*)::int as others,
              pg_catalog.count(*) filter (where usename = current_user)::int as role_others,
              pg_catalog.count(*) filter (where datname = current_database())::int as database_others
       from pg_stat_activity
       where coalesce(backend_type = 'client backend', datid is not null)
         and coalesce(application_name, '') not like 'caching-layer%'
     ) as others,
     (
       select pg_catalog.count(*)::int as feeds,
              pg_catalog.count(*) filter (where usename = current_user)::int as role_feeds,
              pg_catalog.count(*) filter (where datname = current_database())::int as database_feeds
       from pg_stat_activity where application_name in ('caching-layer changes', 'caching-layer feed')
     ) as feeds`,
  )
  const row = rows[0] as BudgetRow
  const countOf = (feeds: number) => sidecars ?? Math.max(feeds, 1)
  const spare = 'lower DATABASE_POOL_SIZE, or route DATABASE_URL through PgBouncer'
  const taken = (others: number) => (others === 0 ? '' : `, and other clients use ${others} of it`)
  /** A limit of the role or of the database, which only sidecars of that role or database share. */
  const ofOne = (what: 'role' | 'database', name: string, { limit, others, feeds }: SharedLimit): Limit => ({
    count: countOf(feeds),
    left: limit < 0 ? Number.POSITIVE_INFINITY : limit - others,
    says: `the ${what}'s limit is ${limit}${taken(others)}`,
    cure: (wanted) => {
      const raise = `alter ${what} ${quoteIdentifier(name)} connection limit ${wanted + others}`
      return `${spare}, or ${runAs('a superuser', raise)}`
    },
  })
  const ofServer: Limit = {
    count: countOf(row.feeds),
    left: row.most - row.others,
    says: `max_connections leaves ${row.most - row.others} besides other clients`,
    cure: () => `${spare}, or raise max_connections and restart the server`,
  }
  const limits = [
    ofServer,
    ofOne('role', row.role, { limit: row.role_limit, others: row.role_others, feeds: row.role_feeds }),
    ofOne('database', row.database, {
      limit: row.database_limit,
      others: row.database_others,
      feeds: row.database_feeds,
    }),
  ]
  const says = ({ count, says }: Limit) => `${count} × ${connectionsEach} connections: ${says}`
  const short = limits.find(({ count, left }) => left < count * connectionsEach)
  if (short === undefined) return ok('connections', says(ofServer))
  return bad('connections', says(short), short.cure(short.count * connectionsEach))
}

interface SharedLimit {
  /** Negative for none. */
  readonly limit: number
  /** Connections of clients that are no sidecars. */
  readonly others: number
  readonly feeds: number
}

interface Limit {
  /** Number of sidecars that share it. */
  readonly count: number
  /** Connections that are left to them. */
  readonly left: number
  readonly says: string
  readonly cure: (wantedConnections: number) => string
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`
}
