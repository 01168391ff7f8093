import type { Config } from '../config/config.js'
import { describeSettings } from '../config/describe-settings.js'
import type { LoadedConfig } from '../config/load.js'
import type { Cache } from '../core/cache.js'
import type { Log } from '../core/ports.js'
import type { Listing } from '../core/reads/listing.js'
import { LivePage, type LivePageSources } from '../http/ops/page/live-page.js'
import type { Page } from '../http/ops/page/page-routes.js'
import type { DatabaseView, ShownFinding } from '../http/ops/page/view-data.js'
import { PageViews } from '../http/ops/page/views/page-views.js'
import { PageWrites } from '../http/ops/page/writes/page-writes.js'
import type { RequestBodies } from '../http/server/request-bodies.js'
import { isQuery } from '../postgres/bindings/bound-source.js'
import type { KnownBindings } from '../postgres/bindings/known-bindings.js'
import type { PostgresChangeFeed } from '../postgres/feed/feed.js'
import type { FleetMembership } from '../postgres/fleet/fleet-membership.js'
import type { Attempts } from '../postgres/pool/attempts.js'
import type { Database } from '../postgres/pool/database.js'
import { databaseFacts } from '../postgres/schema/database-facts.js'
import type { SchemaName } from '../postgres/schema/schema-name.js'
import { KeyAnnouncer } from '../postgres/store/key-announcer.js'

export interface PageSources
  extends Omit<
      LivePageSources,
      'status' | 'changeLog' | 'isOwn' | 'isBound' | 'feedTransitions' | 'keys' | 'hasWrites' | 'limits'
    >,
    DatabaseViewSources {
  /** Returns the settings in force. */
  readonly config: () => Config
  readonly settingSources: LoadedConfig['sources'] | undefined
  readonly inspectDatabase: ((config: Config) => Promise<readonly ShownFinding[]>) | undefined
  readonly listing: Listing
  readonly fleet: FleetMembership
  readonly opsPort: () => number
  readonly isServing: () => boolean
  readonly bodies: RequestBodies
  readonly log: Log
}

interface DatabaseViewSources {
  readonly cache: Cache
  readonly database: Database
  readonly schema: SchemaName
  readonly feed: Pick<PostgresChangeFeed, 'drains'>
  readonly attempts: Attempts
  readonly bindings: KnownBindings
}

/** Creates the page of the operations listener. Returns undefined if it is off. */
export function createPage(sources: PageSources): Page | undefined {
  const { config, settingSources, inspectDatabase, cache, listing, fleet, bindings, opsPort, token, clock } =
    sources
  const { hasPage, pageKeys: keys, showsValues: hasValues } = config()
  if (!hasPage) return undefined
  const writes = createPageWrites(sources)
  const live = new LivePage({
    ...sources,
    limits: config,
    status: () => cache.status(),
    changeLog: cache.following.changeLog,
    isOwn: (version) => cache.isOwn(version),
    isBound: (key) => bindings.of(key) !== undefined,
    feedTransitions: () => cache.feedTransitions,
    keys,
    hasWrites: writes !== undefined,
  })
  const views = new PageViews({
    listing,
    isHeld: (key) => cache.isHeld(key),
    keys,
    hasValues,
    fleet: () => fleet.fleet(),
    pagePort: opsPort,
    database: () => databaseView(sources),
    inspectDatabase: async () => inspectDatabase?.(config()) ?? [],
    settings: () => (settingSources ? describeSettings({ config: config(), sources: settingSources }) : []),
    clock,
  })
  return { live, views, writes, token }
}

/** Returns undefined if nobody may change keys on the page. Without a token, nobody may. */
function createPageWrites(sources: PageSources): PageWrites | undefined {
  const { config, token, cache, isServing, bodies, log } = sources
  const { hasPageWrites, pageKeys: keys, maxValueBytes } = config()
  if (!hasPageWrites || token === undefined) return undefined
  const announcer = new KeyAnnouncer(sources)
  const dropEverywhere = (key: string) => announcer.announce(key)
  return new PageWrites({ cache, dropEverywhere, isServing, keys, maxValueBytes, bodies, log })
}

async function databaseView(sources: DatabaseViewSources): Promise<DatabaseView> {
  const { cache, database, schema, feed, attempts, bindings } = sources
  const asking = async () => databaseFacts(database, await schema.get())
  const isIdle = cache.status().feed === 'idle'
  return {
    pool: database.use(),
    attempts: attempts.status(),
    errors: [...database.errorCounts].map(([code, count]) => ({ code, count })),
    drains: { ...feed.drains },
    // An idle sidecar must not wake the database.
    facts: isIdle ? null : await asking().catch(() => null),
    bindings: bindings.sources.map((bound) => ({
      pattern: bound.pattern.text,
      source: isQuery(bound) ? 'query' : 'table',
      announce: bound.viaOutbox ? 'outbox' : 'notify',
      ...(bound.fault && { fault: { says: bound.fault.says, cure: bound.fault.cure } }),
      ...cache.readsOf(bound.pattern.text),
      reads: bindings.costs.of(bound.pattern.text),
    })),
  }
}
