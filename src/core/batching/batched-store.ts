import type { Bindings } from '../bindings/bindings.js'
import type { Absent, Entry, StoredEntry, Unchanged, Withheld, Written } from '../entry.js'
import { CacheError } from '../errors.js'
import {
  type BatchPart,
  type Clock,
  type ConditionalAnswer,
  type ConditionalWrite,
  formOf,
  type RemoveAnswer,
  type Store,
  type Write,
  type WriteAnswer,
} from '../ports.js'
import type { BatchOperation, Stats } from '../stats.js'
import type { BatchTracer } from '../tracer.js'
import { Batcher } from './batcher.js'
import { Semaphore } from './semaphore.js'
import { StoreHealth } from './store-health.js'
import type { Batched } from './waiting-items.js'

export interface BatchingOptions {
  readonly clock: Clock
  /** Maximum number of concurrent statements. */
  readonly maxStatements: number
  /** Maximum time that a request waits for its statement to start. */
  readonly maxWaitMs: number
  readonly tracer: BatchTracer | undefined
  /** Slots for statements that return values. Memory is reserved for the values of each. */
  readonly valueSlots: Semaphore
}

export interface BatchedStoreOptions extends BatchingOptions {
  readonly store: Store
  readonly bindings: Bindings
  readonly stats: Stats
}

/** A key to read, and the entry held, if any, which makes it unnecessary to transfer an unchanged value. */
export interface WantedEntry {
  readonly key: string
  readonly held: (Entry & Pick<Written, 'epoch'>) | undefined
}

export type ReadAnswer = StoredEntry | Unchanged | Withheld | Absent

export interface TogetherOptions {
  /** True if all answers must be from one statement, and therefore from one snapshot. */
  readonly isOneSnapshot: boolean
  /** Returns true once nobody waits for the answers any more. */
  readonly isStopped: () => boolean
}

/** A conditional write with an identifier of its own as its key, so that it is never merged with another write. */
interface SingleWrite {
  readonly key: string
  readonly write: ConditionalWrite
}

export type BatchedRead = Batched<WantedEntry, ReadAnswer>

const maxItems = 500
const maxBytes = 8 * 1024 * 1024

/**
 * Sends reads, writes and deletes to the store, each kind in batches of its own, within the limit of concurrent
 * statements.
 */
export class BatchedStore {
  readonly health = new StoreHealth()
  readonly read: Batcher<WantedEntry, ReadAnswer>
  readonly write: Batcher<Write, WriteAnswer>
  readonly remove: Batcher<{ readonly key: string }, RemoveAnswer>
  readonly #conditional: Readonly<Record<'write' | 'remove', Batcher<SingleWrite, ConditionalAnswer>>>
  #conditionalWrites = 0
  readonly #newTogether: (options: TogetherOptions) => Batcher<WantedEntry, ReadAnswer>

  constructor({ store, bindings, stats, ...options }: BatchedStoreOptions) {
    const { health } = this
    const bounds = { ...batchBounds(options), health }
    const readBounds = { ...bounds, valueSlots: options.valueSlots }
    // Each table has statements of its own, so that a table that cannot be read does not affect others.
    const groupOf = ({ key }: WantedEntry) => bindings.of(key)
    this.read = readBatcher(
      { ...readBounds, groupOf },
      stats,
      (wanted, part) => store.read(wanted, part),
      isPostponed,
    )
    this.#newTogether = (together) => togetherBatcher(readBounds, stats, store, together)
    this.write = new Batcher({
      ...bounds,
      keepsOrder: true,
      operation: 'write',
      sizes: stats.batchKeys.write,
      bytesOf: ({ key, value }) => key.length + value.length,
      groupOf: (write) => formOf(write),
      run: (writes, part) => store.write(writes, part),
      lockedOf: (keys) => store.lockedOf(keys),
    })
    this.remove = new Batcher({
      ...bounds,
      keepsOrder: true,
      operation: 'remove',
      sizes: stats.batchKeys.remove,
      run: (items, part) =>
        store.remove(
          items.map(({ key }) => key),
          part,
        ),
      lockedOf: (keys) => store.lockedOf(keys),
    })
    const conditional = (operation: BatchOperation) =>
      new Batcher<SingleWrite, ConditionalAnswer>({
        ...bounds,
        maxItems: 1,
        operation,
        sizes: stats.batchKeys[operation],
        run: async (items, part) => {
          const [{ key, write }] = items as readonly [SingleWrite]
          return new Map([[key, await store.writeIf(write, part)]])
        },
      })
    this.#conditional = { write: conditional('write'), remove: conditional('remove') }
  }

  /**
   * Sends a conditional write in a statement of its own. It never shares the fate of another write: two writes of one
   * key with the same condition must not both succeed.
   */
  async writeIf(write: ConditionalWrite): Promise<ConditionalAnswer> {
    const operation = write.value === undefined ? 'remove' : 'write'
    const key = String(++this.#conditionalWrites)
    const { answer } = await this.#conditional[operation].add({ key, write })
    return answer as ConditionalAnswer
  }

  /** Returns a batcher for the reads of one request. */
  together(options: TogetherOptions): Batcher<WantedEntry, ReadAnswer> {
    return this.#newTogether(options)
  }
}

/**
 * Returns a batcher for the reads of one request. All reads that are added in one turn of the event loop are sent in
 * one statement, however many they are. Values for which that statement has no room are read by further ones, or
 * rejected as too large together if there must be one snapshot.
 */
function togetherBatcher(
  bounds: ReturnType<typeof batchBounds> & { readonly health: StoreHealth; readonly valueSlots: Semaphore },
  stats: Stats,
  store: Store,
  { isOneSnapshot, isStopped }: TogetherOptions,
): Batcher<WantedEntry, ReadAnswer> {
  return readBatcher(
    { ...bounds, maxItems: Number.POSITIVE_INFINITY },
    stats,
    async (wanted, part) => {
      if (isStopped()) throw tooLargeTogether()
      try {
        return await store.readAtOnce(wanted, part)
      } catch (error) {
        throw isOneSnapshot ? asOfWholeStatement(error) : error
      }
    },
    (answer) => !isOneSnapshot && isPostponed(answer),
  )
}

export function tooLargeTogether(): CacheError {
  return new CacheError('too-large-together', 'the values are too large for one statement', {
    isOfWholeStatement: true,
  })
}

/** Returns the error in a form after which the statement is not split into several. */
function asOfWholeStatement(error: unknown): unknown {
  return error instanceof CacheError ? error.with({ isOfWholeStatement: true }) : error
}

/** Returns the options of batchers that share their connections. */
export function batchBounds({ clock, maxStatements, maxWaitMs, tracer }: BatchingOptions) {
  return {
    clock,
    slots: new Semaphore(maxStatements),
    lockSlots: new Semaphore(Math.max(1, maxStatements >> 1)),
    maxItems,
    maxBytes,
    maxWaitMs,
    tracer,
  }
}

export function isPostponed(answer: ReadAnswer | undefined): boolean {
  return answer !== undefined && 'withheld' in answer && answer.withheld === 'postponed'
}

export function readBatcher<O>(
  bounds: ReturnType<typeof batchBounds> & {
    readonly health?: StoreHealth
    readonly valueSlots: Semaphore
    readonly groupOf?: (item: WantedEntry) => unknown
  },
  stats: Stats,
  run: (wanted: readonly WantedEntry[], part?: BatchPart) => Promise<ReadonlyMap<string, O>>,
  isPostponed: (answer: O) => boolean,
): Batcher<WantedEntry, O> {
  return new Batcher({
    ...bounds,
    operation: 'read',
    sizes: stats.batchKeys.read,
    run,
    isPostponed,
  })
}
