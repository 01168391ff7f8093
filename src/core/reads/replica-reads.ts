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

/** A read that waits longer for its statement to begin goes to the primary. */
export interface ReplicaReadsOptions extends BatchingOptions {
  readonly replica: Replica
  readonly stats: Stats
}

/** At most this often is the primary asked for its position. */
const pauseMs = 100
const pauseAfterFailureMs = 1_000

/**
 * Reads that spare the primary (P13). A replica may be behind, and what it lacks no change will tell again:
 *   1. the change of k to 8 arrives, the entry is dropped    3. the replica, which has not replayed it, says 7
 *   2. the next read of k is sent to the replica             4. 7 is put, and served until its time to live ends
 * So it is asked only for keys of which nothing has been shown here, by a change or by an answer, since the primary told
 * a position that the replica has replayed by now.
 */
export class ReplicaReads {
  readonly #options: ReplicaReadsOptions
  readonly #batcher: Batcher<WantedEntry, ReplicaAnswer>
  #position: LogPosition | undefined
  #shownSince = new ObservedKeys()
  /** The same for the next position, which the replica is still to replay; undefined when it is worth nothing any more. */
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

  /** Of this key a client of this sidecar, or the sidecar itself, may know more from now on than a replica. */
  shown(id: string): void {
    this.#shownSince.add(id)
    this.#shownSinceNext?.add(id)
  }

  /** Changes may have been shown, or missed, that were not named. */
  doubt(): void {
    this.#position = undefined
    this.#shownSinceNext = undefined
  }

  /** Undefined where the primary is to be asked at once; resolves to undefined where it is to be asked after all. */
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
    if (position === undefined) throw new Error('no replica has replayed enough')
    try {
      return await this.#options.replica.read(wanted, position)
    } catch (error) {
      if (this.#position === position) this.doubt()
      throw error
    }
  }

  /** A later position, for what was shown meanwhile. */
  #advance(): void {
    const { clock, replica } = this.#options
    if (this.#isAdvancing || clock.now() < this.#mayAdvanceAtMs) return
    this.#isAdvancing = true
    // Before the primary is asked: what is shown from now on may lie behind its answer.
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
