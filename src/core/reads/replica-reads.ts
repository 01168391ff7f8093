import {
  type BatchedRead,
  type BatchingOptions,
  batchBounds,
  isPostponed,
  readBatcher,
  type WantedEntry,
} from '../batching/batched-store.js'
import type { Batcher } from '../batching/batcher.js'
import type { LogPosition, Replica, ReplicaAnswer } from '../ports.js'
import type { Stats } from '../stats.js'
import { ObservedKeys } from './observed-keys.js'

/**
 * Options of reads from replicas. A read that waits longer than `maxWaitMs` for its statement to start goes to the
 * primary.
 */
export interface ReplicaReadsOptions extends BatchingOptions {
  readonly replica: Replica
  readonly stats: Stats
}

/** Minimum time between two requests for the primary's position. */
const pauseMs = 100
const pauseAfterFailureMs = 1_000

/**
 * Reads from a replica instead of the primary (P13). A replica may lag behind, and no later change repeats what it
 * lacks:
 *
 *   1. The change of k to 8 arrives, and the entry is dropped.
 *   2. The next read of k is sent to the replica.
 *   3. The replica has not replayed the change, and answers 7.
 *   4. 7 is put, and is served until its time to live ends.
 *
 * So a replica is asked only for keys of which nothing has been shown here, by a change or by an answer, since the
 * primary told a position that the replica has replayed by now.
 */
export class ReplicaReads {
  readonly #options: ReplicaReadsOptions
  readonly #batcher: Batcher<WantedEntry, ReplicaAnswer>
  #position: LogPosition | undefined
  #shownSince = new ObservedKeys()
  /**
   * Keys shown since the next position, which the replica still has to replay; undefined if that position has become
   * useless.
   */
  #shownSinceNext: ObservedKeys | undefined
  #isAdvancing = false
  #mayAdvanceAtMs = Number.NEGATIVE_INFINITY

  constructor(options: ReplicaReadsOptions) {
    this.#options = options
    this.#batcher = readBatcher(
      { ...batchBounds(options), valueSlots: options.valueSlots },
      options.stats,
      (wanted) => this.#run(wanted),
      ({ entry }) => isPostponed(entry),
    )
  }

  get isUsable(): boolean {
    return this.#position !== undefined
  }

  /**
   * Records that a client of this sidecar, or the sidecar itself, may from now on know a newer state of this key than a
   * replica.
   */
  shown(id: string): void {
    this.#shownSince.add(id)
    this.#shownSinceNext?.add(id)
  }

  /** Stops the use of replicas until they catch up again, because unnamed changes may have been shown or missed. */
  doubt(): void {
    this.#position = undefined
    this.#shownSinceNext = undefined
  }

  /**
   * Reads from a replica. Returns undefined if the primary must be asked at once, and resolves to undefined if it must
   * be asked after all.
   */
  read(id: string, wanted: WantedEntry): Promise<BatchedRead | undefined> | undefined {
    const { stats } = this.#options
    if (this.#position === undefined || this.#shownSince.has(id)) {
      if (this.#position === undefined) stats.replicaUnavailable++
      else stats.replicaTooRecent++
      this.#advance()
      return undefined
    }
    return this.#batcher.add(wanted).then(
      ({ sent, answer }) => {
        if (answer === undefined) {
          stats.replicaExpiring++
          return undefined
        }
        stats.replicaFills++
        return { sent, answer: answer.entry }
      },
      () => {
        stats.replicaUnavailable++
        return undefined
      },
    )
  }

  async #run(wanted: readonly WantedEntry[]): Promise<ReadonlyMap<string, ReplicaAnswer>> {
    const position = this.#position
    if (position === undefined) throw new Error('no replica has caught up')
    try {
      return await this.#options.replica.read(wanted, position)
    } catch (error) {
      if (this.#position === position) this.doubt()
      throw error
    }
  }

  /** Asks for a later position, so that keys shown meanwhile can be read from a replica again. */
  #advance(): void {
    const { clock, replica } = this.#options
    if (this.#isAdvancing || clock.now() < this.#mayAdvanceAtMs) return
    this.#isAdvancing = true
    // This set must exist before the primary is asked: what is shown from now on may come after the position that it
    // tells.
    const shownSince = new ObservedKeys()
    this.#shownSinceNext = shownSince
    const end = (waitMs: number) => {
      this.#isAdvancing = false
      this.#mayAdvanceAtMs = clock.now() + waitMs
    }
    replica.catchUp().then(
      (position) => {
        end(pauseMs)
        if (this.#shownSinceNext !== shownSince) return
        this.#position = position
        this.#shownSince = shownSince
        this.#shownSinceNext = undefined
      },
      () => end(pauseAfterFailureMs),
    )
  }
}
