import type { Config } from '../config/config.js'
import type { Clock, Log } from '../core/ports.js'
import type { KnownBindings } from '../postgres/bindings/known-bindings.js'
import { PostgresChangeFeed } from '../postgres/feed/feed.js'
import type { Database } from '../postgres/pool/database.js'
import { migrate } from '../postgres/schema/migrate.js'
import type { SchemaName } from '../postgres/schema/schema-name.js'
import type { CacheTable } from '../postgres/schema/table-inspection.js'

export interface ChangeFeedParts {
  readonly config: Config
  /** True if pending migrations are to be applied at the first contact with the database. */
  readonly migratesFirst: boolean
  readonly database: Database
  readonly bindings: KnownBindings
  readonly schema: SchemaName
  readonly clock: Clock
  readonly log: Log
}

export interface CreatedChangeFeed {
  readonly feed: PostgresChangeFeed
  /** Returns the used part of the notification queue, from 0 to 1; undefined while it is not known. */
  readonly queueUsage: () => number | undefined
}

/** Usage above which a listener must be stuck: while all of them read, the queue is nearly empty. */
const alarmingQueueUsage = 0.5

/**
 * Creates the change feed. It applies migrations if asked to, and passes on what each session learns about the
 * table.
 */
export function createChangeFeed(parts: ChangeFeedParts): CreatedChangeFeed {
  const { config, database, bindings, schema, clock, log } = parts
  const { databaseListenUrl, maxStalenessMs, whenIdle } = config
  let isMigrated = !parts.migratesFirst
  let queueUsage: number | undefined

  const prepare = async () => {
    if (isMigrated) return
    const applied = await migrate(databaseListenUrl)
    if (applied.length > 0) log.info({ applied }, 'migrations applied')
    isMigrated = true
  }

  const onTable = (table: CacheTable | undefined) => {
    queueUsage = table?.queueUsage
    if (table === undefined) return
    schema.found(table.schema)
    if (table.queueUsage > alarmingQueueUsage)
      log.warn({ queueUsage: table.queueUsage }, 'the notification queue is filling up: a listener is stuck')
  }

  const feed = new PostgresChangeFeed(
    { url: databaseListenUrl, maxStalenessMs, whenIdle },
    { database, bindings, clock, log, prepare, onTable },
  )
  return { feed, queueUsage: () => queueUsage }
}
