import type { Cache } from '../cache.js'
import type { FillContests } from '../leases/fill-contests.js'
import type { Clock } from '../ports.js'
import type { ReadOptions, ReadResult } from '../reads/read-result.js'
import { keyId } from '../state/key-id.js'
import type { KeyWaits } from './key-waits.js'

export interface ChangedReadsParts {
  readonly cache: Pick<Cache, 'get'>
  readonly contests: FillContests
  readonly waits: KeyWaits
  readonly clock: Clock
}

export interface ChangeWait {
  /** Returns true if the client already has this answer. */
  readonly isKnown: (read: ReadResult) => boolean
  /** Time to wait for another answer. */
  readonly waitMs: number
  /** Aborted when the client may be gone, which ends its wait. */
  readonly signal: AbortSignal
}

/** Reads for clients that wait until an entry is not what they already have. */
export class ChangedReads {
  readonly #parts: ChangedReadsParts

  constructor(parts: ChangedReadsParts) {
    this.#parts = parts
  }

  /**
   * Reads a key until the answer is another than the client has, or the time is up. Rejects with a CacheError. The
   * changes are counted before each read: one that arrives while the read is under way ends the next wait at once.
   */
  async get(key: string, options: ReadOptions, { isKnown, waitMs, signal }: ChangeWait): Promise<ReadResult> {
    const { cache, contests, waits, clock } = this.#parts
    const id = keyId(key)
    const contest = contests.enter(id)
    const deadlineMs = clock.now() + waitMs
    try {
      for (;;) {
        const { changes } = contest
        const read = await cache.get(key, options)
        const leftMs = waits.leftMs(deadlineMs, signal)
        if (leftMs === 0 || !isKnown(read)) return read
        // An entry that expires is announced by nobody.
        const expiresInMs = read.expiresInMs ?? Number.POSITIVE_INFINITY
        await waits.wait(contest, changes, Math.min(leftMs, Math.max(0, expiresInMs) + 1), signal)
      }
    } finally {
      contests.leave(id)
    }
  }
}
