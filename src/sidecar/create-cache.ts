import type { Config } from '../config/config.js'
import { Cache, type CacheParts } from '../core/cache.js'
import { ChangedReads } from '../core/changes/changed-reads.js'
import { KeyWaits } from '../core/changes/key-waits.js'
import { FillContests } from '../core/leases/fill-contests.js'
import { LeasedReads } from '../core/leases/leased-reads.js'
import type { Clock, Log } from '../core/ports.js'
import { Listing } from '../core/reads/listing.js'
import { BoundStore } from '../postgres/bindings/bound-store.js'
import type { KnownBindings } from '../postgres/bindings/known-bindings.js'
import { Attempts } from '../postgres/pool/attempts.js'
import type { Database } from '../postgres/pool/database.js'
import type { ReadReplicas } from '../postgres/replicas/read-replicas.js'
import type { SchemaName } from '../postgres/schema/schema-name.js'
import { PostgresEntryList } from '../postgres/store/entry-list.js'
import { PostgresEntryRemover } from '../postgres/store/entry-remover.js'
import { PostgresFillLeases } from '../postgres/store/fill-leases.js'
import { PostgresStore } from '../postgres/store/store.js'
import { PostgresTransactionWriter } from '../postgres/store/transaction-writer.js'
import type { Tracing } from '../telemetry/opentelemetry/tracing.js'
import { cacheOptions, listingOptions, maxReadBytes } from './cache-options.js'
import { createReadReplicas } from './create-read-replicas.js'

export interface CacheSources {
  readonly config: Config
  readonly database: Database
  readonly schema: SchemaName
  readonly bindings: KnownBindings
  readonly clock: Clock
  readonly log: Log
  readonly tracing: Tracing | undefined
}

/**
 * Creates the cache over its store, the list of the store's entries, the reads that may wait, the attempts of their
 * statements, and the read replicas. The caller closes the last, and the waits.
 */
export function createCache({ config, database, schema, bindings, clock, log, tracing }: CacheSources): {
  readonly cache: Cache
  readonly listing: Listing
  readonly leasedReads: LeasedReads
  readonly changedReads: ChangedReads
  readonly waits: KeyWaits
  readonly attempts: Attempts
  /** Undefined if there are none. */
  readonly replicas: ReadReplicas | undefined
} {
  const attempts = new Attempts({
    clock,
    log,
    timeoutMs: config.databaseTimeoutMs,
    ping: () => database.ping(),
  })
  const readBytes = maxReadBytes(config)
  const replicaParts = { primary: database, schema, clock, log, maxReadBytes: readBytes }
  const replicas = createReadReplicas(config, replicaParts, tracing)
  const storeParts = { database, attempts, schema, maxReadBytes: readBytes }
  const entries = new PostgresStore(storeParts)
  const store = new BoundStore({
    ...storeParts,
    clock,
    entries,
    bindings,
    timeoutMs: config.databaseTimeoutMs,
  })
  const contests = new FillContests()
  const parts: CacheParts = {
    store,
    bindings,
    contests,
    writer: new PostgresTransactionWriter({ database, attempts, schema, withinMs: config.databaseTimeoutMs }),
    remover: new PostgresEntryRemover({ database, attempts, schema, withinMs: config.databaseTimeoutMs }),
    replica: replicas,
    clock,
    log,
    tracer: tracing?.batches,
  }
  const options = cacheOptions(config)
  const cache = tracing ? tracing.newCache(options, parts) : new Cache(options, parts)
  // Requests that wait for the connection of a list get it before their own time is up.
  const list = new PostgresEntryList({
    database,
    attempts,
    schema,
    withinMs: Math.ceil(config.databaseTimeoutMs / 2),
  })
  const listing = new Listing(listingOptions(config), {
    list,
    store,
    withValueSlot: (read) => cache.withValueSlot(read),
    clock,
  })
  const after = (ms: number, task: () => void) => {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  }
  const waits = new KeyWaits({ cache, contests, clock, after })
  const leases = new PostgresFillLeases({ database, attempts, schema })
  const leasedReads = new LeasedReads({ cache, bindings, contests, leases, waits, clock, after })
  const changedReads = new ChangedReads({ cache, contests, waits, clock })
  return { cache, listing, leasedReads, changedReads, waits, attempts, replicas }
}
