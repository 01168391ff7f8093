import type { BatchedRead, BatchedStore, WantedEntry } from '../batching/batched-store.js'
import type { Entry } from '../entry.js'
import { CacheError } from '../errors.js'
import type { Clock } from '../ports.js'
import type { CacheState } from '../state/cache-state.js'
import type { Flight } from '../state/flights.js'
import type { Stats } from '../stats.js'
import type { Forwarded, ReadResult } from './read-result.js'
import type { ReplicaReads } from './replica-reads.js'

export interface FillsParts {
  readonly memory: CacheState
  readonly statements: BatchedStore
  readonly replicaReads: ReplicaReads | undefined
  readonly maxStalenessMs: number
  readonly clock: Clock
  readonly stats: Stats
  /** Called when the primary has answered. */
  readonly onContact: () => void
}

export interface Miss {
  readonly id: string
  readonly key: string
  /** Entry that is held, but must not be served without asking. */
  readonly entry: Entry | undefined
  readonly forwarded: Forwarded
}

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
   * reads that wait at the same moment (P10). Any other read may join a fill in flight (P4).
   */
  read({ id, key, entry, forwarded }: Miss, nowMs: number): Promise<ReadResult> {
    const { memory, statements, stats, maxStalenessMs } = this.#parts
    const { flights, position, lease } = memory
    const joinable = forwarded === 'request' ? undefined : flights.joinable(id, nowMs - maxStalenessMs)
    if (joinable) {
      stats.coalesced++
      return joinable.then((read) => ({ ...read, forwarded, collapsed: true }))
    }
    const token = memory.open(id, nowMs)
    const { epoch } = position
    const item = { key, held: entry?.isComparable && epoch !== undefined ? { ...entry, epoch } : undefined }
    const fromReplica = this.#readReplica(token, item, forwarded)
    const answered: Promise<Answered> = fromReplica ?? statements.read.add(item)
    const end = () => {
      flights.close(token)
      flights.ended(id, result)
    }
    const result: Promise<ReadResult> = answered.then(
      (batched) => {
        try {
          return this.#filled(token, forwarded, batched)
        } finally {
          end()
        }
      },
      (error: unknown) => {
        end()
        throw error
      },
    )
    flights.started(id, { result, startedAtMs: fromReplica ? lease.asOfMs : nowMs })
    return result
  }

  /**
   * Reads from a replica, or returns undefined if only the store may be asked. The answer of a replica is as old as the
   * lease: everything acknowledged before `asOf` has been seen here, and so the replica has replayed it. If the answer
   * arrives when a hit would no longer be fresh, the store is asked after all.
   */
  #readReplica(token: Flight, item: WantedEntry, forwarded: Forwarded): Promise<Answered> | undefined {
    const { memory, statements, replicaReads, clock, maxStalenessMs } = this.#parts
    if (forwarded === 'request' || memory.lease.state !== 'live') return undefined
    const { asOfMs } = memory.lease
    const reading = replicaReads?.read(token.id, item)
    return reading?.then((batched) => {
      const isInTime = clock.now() - asOfMs <= maxStalenessMs
      return batched && isInTime ? { ...batched, asOfMs } : statements.read.add(item)
    })
  }

  #filled(token: Flight, forwarded: Forwarded, { sent, answer, asOfMs }: Answered): ReadResult {
    const { memory, replicaReads, clock, stats, onContact } = this.#parts
    if (asOfMs === undefined) onContact()
    replicaReads?.shown(token.id)
    const ageMs = asOfMs === undefined ? 0 : clock.now() - asOfMs
    if (answer?.version === undefined) {
      if (answer) memory.observe(answer.epoch, token)
      // The primary says that the entry does not exist, whatever changes have said.
      if (asOfMs === undefined) memory.local.drop(token.id)
      return { value: undefined, forwarded, ageMs }
    }
    if ('withheld' in answer) {
      memory.observe(answer.epoch, token)
      throw new CacheError('too-large', 'the value is too large for the memory that one value may take')
    }
    const value = answer.value ?? sent.held?.value
    if (value === undefined) throw new Error('the store omitted a value that is not held')
    const stored = memory.put(token, { ...answer, value }, asOfMs)
    if (answer.value !== undefined) return { value, forwarded, stored, ageMs }
    stats.revalidatedFills++
    return { value, forwarded, stored, ageMs, revalidated: true }
  }
}
