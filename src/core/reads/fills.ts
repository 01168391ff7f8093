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
  /** The primary has answered. */
  readonly onContact: () => void
}

export interface Miss {
  readonly id: string
  readonly key: string
  /** Held here, but not to be served as it is. */
  readonly entry: Entry | undefined
  readonly forwarded: Forwarded
}

interface Answered extends BatchedRead {
  /** Undefined where the store itself answered, since it was asked. */
  readonly asOfMs?: number
}

/** Reads that memory cannot answer: the store is asked, or a replica of it, and what it says is put where that is safe. */
export class Fills {
  readonly #parts: FillsParts

  constructor(parts: FillsParts) {
    this.#parts = parts
  }

  /**
   * What the reader wished for is read by a statement that is sent after the read arrived; those that wait at one
   * moment share it (P10). Any other read may join a fill in flight (P4).
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
   * What a replica says is as old as the lease: what was acknowledged before that, has been shown here, and so the
   * replica has it. It may take no longer than a hit may be old.
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
      // Known to be gone, whatever changes have told.
      if (asOfMs === undefined) memory.local.drop(token.id)
      return { value: undefined, forwarded, ageMs }
    }
    if ('withheld' in answer) {
      memory.observe(answer.epoch, token)
      throw new CacheError('too-large', 'the value takes more memory than there is for one')
    }
    const value = answer.value ?? sent.held?.value
    if (value === undefined) throw new Error('the store left out a value that nobody holds')
    const stored = memory.put(token, { ...answer, value }, asOfMs)
    if (answer.value !== undefined) return { value, forwarded, stored, ageMs }
    stats.revalidatedFills++
    return { value, forwarded, stored, ageMs, revalidated: true }
  }
}
