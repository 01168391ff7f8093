import {
  type BatchedRead,
  type BatchedStore,
  isPostponed,
  tooLargeTogether,
  type WantedEntry,
} from '../batching/batched-store.js'
import type { Bindings } from '../bindings/bindings.js'
import type { Entry, StoredEntry, Unchanged } from '../entry.js'
import { CacheError, hasCode } from '../errors.js'
import type { Content } from '../media-type.js'
import type { Clock } from '../ports.js'
import type { CacheState } from '../state/cache-state.js'
import type { DatabasePosition } from '../state/database-position.js'
import type { Flight } from '../state/flights.js'
import type { Lease } from '../state/lease.js'
import type { Stats } from '../stats.js'
import type { Delivery } from '../writes/delivery.js'
import type { Forwarded, ReadResult } from './read-result.js'
import type { ReplicaReads } from './replica-reads.js'

export interface FillsParts {
  readonly state: CacheState
  readonly lease: Lease
  readonly position: DatabasePosition
  readonly delivery: Delivery
  readonly statements: BatchedStore
  readonly replicaReads: ReplicaReads | undefined
  readonly bindings: Bindings
  readonly maxStalenessMs: number
  readonly clock: Clock
  readonly stats: Stats
}

export interface Miss {
  readonly id: string
  readonly key: string
  /** Entry that is held, but must not be served without asking. */
  readonly entry: Entry | undefined
  readonly forwarded: Forwarded
  /** True for the warm-up, which puts entries only. */
  readonly isWarmUp?: boolean
}

export type ReadBatcher = BatchedStore['read']

interface Answered extends BatchedRead {
  /** Time up to which a replica's answer is proven; undefined if the store itself answered. */
  readonly asOfMs?: number
}

/** Reads that memory cannot answer. Asks the store or a replica, and puts the answer into memory if that is safe. */
export class Fills {
  readonly #parts: FillsParts

  constructor(parts: FillsParts) {
    this.#parts = parts
  }

  /**
   * Reads a key. A strong read is served by a statement that is sent after the read arrived, and shares it with strong
   * reads that wait at the same moment (P10). Any other read may join a fill in flight (P4). `batcher` is the one of a
   * request for many keys.
   */
  read(miss: Miss, nowMs: number, batcher: ReadBatcher = this.#parts.statements.read): Promise<ReadResult> {
    const { state, lease, position, stats, maxStalenessMs } = this.#parts
    const { id, key, entry, forwarded } = miss
    const joinable = forwarded === 'request' ? undefined : state.joinable(id, nowMs - maxStalenessMs)
    if (joinable) {
      stats.coalesced++
      return joinable.then(
        (read) => ({ ...read, forwarded, collapsed: true }),
        (error: unknown) => {
          // The request for many keys that had started the fill has been given up. This read goes on without it.
          if (hasCode(error, 'too-large-together')) return this.read(miss, nowMs, batcher)
          throw error
        },
      )
    }
    const flight = state.open(id, nowMs)
    const { epoch } = position
    const item = { key, held: entry?.isComparable && epoch !== undefined ? { ...entry, epoch } : undefined }
    const fromReplica = this.#readReplica(flight, item, forwarded, batcher)
    const answered: Promise<Answered> = fromReplica ?? batcher.add(item)
    const end = () => {
      state.close(flight)
      state.unshare(id, result)
    }
    const result: Promise<ReadResult> = answered.then(
      (batched) => {
        try {
          return this.#filled(flight, miss, batched)
        } finally {
          end()
        }
      },
      (error: unknown) => {
        end()
        throw error
      },
    )
    state.share(id, { result, startedAtMs: fromReplica ? lease.asOfMs : nowMs })
    return result
  }

  /**
   * Reads from a replica, or returns undefined if only the store may be asked. The answer of a replica is as old as the
   * lease: everything acknowledged before `asOf` has been seen here, and so the replica has replayed it. If the answer
   * arrives when a hit would no longer be fresh, the store is asked after all.
   */
  #readReplica(
    flight: Flight,
    item: WantedEntry,
    forwarded: Forwarded,
    batcher: ReadBatcher,
  ): Promise<Answered> | undefined {
    const { lease, replicaReads, bindings, clock, maxStalenessMs } = this.#parts
    if (forwarded === 'request' || lease.state !== 'live') return undefined
    if (replicaReads === undefined || bindings.of(item.key)) return undefined
    const { asOfMs } = lease
    const reading = replicaReads.read(flight.id, item)
    return reading?.then((batched) => {
      const isInTime = clock.now() - asOfMs <= maxStalenessMs
      return batched && isInTime ? { ...batched, asOfMs } : batcher.add(item)
    })
  }

  #filled(flight: Flight, miss: Miss, { sent, answer, asOfMs }: Answered): ReadResult {
    const { key, forwarded, isWarmUp = false } = miss
    const { state, delivery, replicaReads, bindings, clock, stats } = this.#parts
    if (asOfMs === undefined) delivery.inContact()
    replicaReads?.shown(flight.id)
    const ageMs = asOfMs === undefined ? 0 : clock.now() - asOfMs
    const expiresInMs = (remainingMs: number | undefined) =>
      remainingMs === undefined ? undefined : flight.openedAtMs + remainingMs - clock.now()
    if (answer?.version === undefined) {
      // A replica does not know it for certain.
      if (answer === undefined) return { value: undefined, forwarded, ageMs }
      // The primary says that the entry does not exist, whatever changes have said.
      state.entries.drop(flight.id)
      if (isWarmUp) state.observe(answer.epoch, flight)
      const stored = !isWarmUp && state.putAbsence(flight, key, answer)
      return { value: undefined, forwarded, stored, ageMs, expiresInMs: expiresInMs(answer.remainingMs) }
    }
    state.absences.drop(flight.id)
    if ('withheld' in answer) {
      state.observe(answer.epoch, flight)
      if (isPostponed(answer)) throw tooLargeTogether()
      if (answer.withheld === 'ambiguous') throw ambiguous(key, bindings.of(key)?.pattern.text ?? '')
      throw new CacheError('too-large', 'the value is too large for the memory that one value may take')
    }
    const entry = answer.value === undefined ? entryHeld(answer, sent.held) : answer
    const { value, mediaType } = entry
    const stored = state.put(flight, entry, asOfMs)
    const read = {
      value,
      mediaType,
      written: answer,
      forwarded,
      stored,
      ageMs,
      expiresInMs: expiresInMs(answer.remainingMs),
    }
    if (answer.value !== undefined) return read
    stats.revalidatedFills++
    return { ...read, revalidated: true }
  }
}

/** Returns the error of a key for which a query of one row returns several. */
function ambiguous(key: string, pattern: string): CacheError {
  return new CacheError('binding-unusable', `${pattern}: the query returns several rows for ${key}`, {
    key,
    explanation: `The key is bound to a query by ${pattern}, and its query returns several rows for this key: bind it with many => true`,
  })
}

/** Returns the entry that the store has found unchanged. */
function entryHeld(answer: Unchanged, held: Content | undefined): StoredEntry {
  if (held === undefined) throw new Error('the store omitted a value that is not held')
  return { ...answer, value: held.value, mediaType: held.mediaType }
}
