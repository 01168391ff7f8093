import type { BatchedStore } from '../batching/batched-store.js'
import { hasCode } from '../errors.js'
import { keyId } from '../state/key-id.js'
import type { ReadOptions, ReadResult } from './read-result.js'
import type { Reads } from './reads.js'

export interface BulkReadsParts {
  readonly reads: Reads
  readonly statements: BatchedStore
}

/** Called with each result as soon as it is there. Throws if there is no room for it: then the request is given up. */
export type Admit = (read: ReadResult) => void

/** Reads of many keys in one request. */
export class BulkReads {
  readonly #parts: BulkReadsParts

  constructor(parts: BulkReadsParts) {
    this.#parts = parts
  }

  /**
   * Reads distinct keys, each under the rules of a single read. Those that memory cannot answer are read together, in
   * one statement of their own; a strong read is therefore answered from one snapshot. Values for which a statement has
   * no room are read by the next one; a strong read rejects instead. Resolves to the results in the order of the keys.
   * Rejects with the first error: there are no results for a part of the keys.
   */
  async get(
    keys: readonly string[],
    options: ReadOptions,
    admit: Admit,
    nowMs: number,
  ): Promise<readonly ReadResult[]> {
    const { reads, statements } = this.#parts
    const ids = keys.map(keyId)
    const recalled = ids.map((id) => reads.recall(id, options, nowMs))
    for (const read of recalled) if (read) admit(read)
    let isStopped = false
    const together = statements.together({
      isOneSnapshot: options.strong === true,
      isStopped: () => isStopped,
    })
    const ask = async (id: string, key: string): Promise<ReadResult> => {
      const read = await reads.ask(id, key, options, nowMs, together).catch((error: unknown) => {
        throw ofKey(error, key)
      })
      if (!isStopped) admit(read)
      return read
    }
    try {
      return await Promise.all(keys.map((key, index) => recalled[index] ?? ask(ids[index] as string, key)))
    } catch (error) {
      isStopped = true
      throw error
    }
  }
}

/** Returns an error that only this key has, with its name: the other keys can be read without it. */
function ofKey(error: unknown, key: string): unknown {
  const isOfKey =
    hasCode(error, 'too-large') || (hasCode(error, 'binding-unusable') && !error.isOfWholeStatement)
  return isOfKey ? error.with({ key }) : error
}
