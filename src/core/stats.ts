import { Histogram } from './histogram.js'

const batchBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500]

/** The operation that a batch performs on its keys. */
export type BatchOperation = 'read' | 'write' | 'remove'

/** Counters since the process started, one for each outcome. */
export class Stats {
  /** Reads answered from memory as fresh, and those of them whose key does not exist (P14). */
  hits = 0
  negativeHits = 0
  /** Misses by reason: no entry held, entry expired, entry not proven fresh (P8), requested by the reader. */
  missesAbsent = 0
  missesExpired = 0
  missesUnproven = 0
  missesRequested = 0
  /** Reads that joined a fill in flight. */
  coalesced = 0
  /** Entries that the warm-up has put. */
  warmed = 0
  /** Fills that confirmed the version held, so that its value was not transferred. */
  revalidatedFills = 0
  /**
   * Fills that a replica answered; then fills that it did not answer, because something about the key was seen here too
   * recently, because no replica could be used, or because the row expires.
   */
  replicaFills = 0
  replicaTooRecent = 0
  replicaUnavailable = 0
  replicaExpiring = 0
  /** Reads answered from memory without proof and marked stale, including those of pending writes. */
  staleServed = 0
  /** Entries, and absent keys, that were removed to make room. */
  evictions = 0
  negativeEvictions = 0
  /** Changes that arrived, and entries that they dropped. */
  changesApplied = 0
  invalidations = 0
  /** Times that all entries were compared with the store, and entries that a comparison dropped. */
  revalidations = 0
  revalidationDrops = 0
  /** Times that all entries were dropped, because the database's history or the table had changed. */
  flushes = 0
  /** Times that the feed was lost, and sessions that it began: the first one and every reconnect. */
  feedLosses = 0
  feedSessions = 0
  writesUnknown = 0
  /**
   * Pending writes that reached the database, and those given up because their row had changed or the database refused
   * them.
   */
  pendingSettled = 0
  pendingConflicts = 0
  /** Number of keys per statement. */
  readonly batchKeys: Readonly<Record<BatchOperation, Histogram>> = {
    read: new Histogram(batchBounds),
    write: new Histogram(batchBounds),
    remove: new Histogram(batchBounds),
  }
}
