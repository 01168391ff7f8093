import { Histogram } from './histogram.js'

const batchBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500]

/** What a batch does with its keys. */
export type BatchOperation = 'read' | 'write' | 'remove'

/** One counter per outcome, since the process started. */
export class Stats {
  hits = 0
  /** Misses by reason: not held, held past its time to live, held but not proven fresh (P8), the reader's wish. */
  missesAbsent = 0
  missesExpired = 0
  missesUnproven = 0
  missesRequested = 0
  /** Reads that joined a fill already in flight. */
  coalesced = 0
  /** Entries put by fills that no reader had asked for. */
  warmed = 0
  /** Fills that found the version held to be the latest, so that its value did not travel. */
  revalidatedFills = 0
  /** Fills that a replica answered; and those it did not: shown here lately, none that can be asked, a row that expires. */
  replicaFills = 0
  replicaTooRecent = 0
  replicaUnavailable = 0
  replicaExpiring = 0
  /** Reads answered from memory and marked stale, because the store could not be asked. */
  staleServed = 0
  evictions = 0
  /** Changes that arrived, and entries dropped by them. */
  changesApplied = 0
  invalidations = 0
  /** Times the whole cache was compared with the store, and the entries dropped by that. */
  revalidations = 0
  revalidationDrops = 0
  /** Times everything was dropped because the database's history is another one. */
  flushes = 0
  /** Times the feed was lost, and times it listened: the first one and every reconnect. */
  feedLosses = 0
  feedSessions = 0
  writesUnknown = 0
  /** Pending writes that reached the database, and those that found their row changed. */
  pendingSettled = 0
  pendingConflicts = 0
  /** How many keys a statement was sent for. */
  readonly batchKeys: Readonly<Record<BatchOperation, Histogram>> = {
    read: new Histogram(batchBounds),
    write: new Histogram(batchBounds),
    remove: new Histogram(batchBounds),
  }
}
