import { runBisecting } from '../batching/bisect.js'
import type { StoreHealth } from '../batching/store-health.js'
import type { Base, PendingWrite, Transaction } from '../entry.js'
import { CacheError, type CacheErrorCode, hasCode } from '../errors.js'
import type { Clock, Log, SentWrite, Settlement, Store } from '../ports.js'
import type { CacheState } from '../state/cache-state.js'
import { keyHash } from '../state/key-hash.js'
import type { KnownVersions } from '../state/known-versions.js'
import type { Stats } from '../stats.js'
import { DeliveryAttempts } from './delivery-attempts.js'
import { type PendingWrites, pendingBytes, sentWrite } from './pending-writes.js'

export interface DeliveryParts {
  readonly pending: PendingWrites
  readonly state: Pick<CacheState, 'written'>
  readonly versions: Pick<KnownVersions, 'fingerprint'>
  readonly health: StoreHealth
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
}

const mostWritesPerStatement = 500
const mostBytesPerStatement = 8 * 1024 * 1024
/**
 * Copies of a write that exist while its statement is sent: the columns, the arrays made of them, and the message to
 * the server.
 */
const copiesInStatement = 4
/** Maximum time to look for the rows that are not locked. The others are tried again at the next contact. */
const maxSplittingMs = 2_000

const stillInDoubt = new CacheError(
  'outcome-unknown',
  'the database does not tell yet whether they were committed before the connection was lost',
)

interface Sent {
  readonly id: string
  readonly key: string
  readonly write: PendingWrite
}

interface InDoubt {
  readonly transaction: Transaction
  readonly write: PendingWrite
  /** The write as it was sent. It may have expired since. */
  readonly sent: SentWrite
}

/** Sends the pending writes when the database is back (P9). */
export class Delivery {
  readonly #parts: DeliveryParts
  #sending: Promise<void> | undefined
  /**
   * Ids of pending writes in flight; ids of those that direct writes of their key hold back, with the number of these.
   */
  readonly #onTheirWay = new Set<string>()
  readonly #heldBack = new Map<string, number>()
  /** Writes whose transaction may have been committed, by key id. */
  readonly #inDoubt = new Map<string, InDoubt>()
  readonly #attempts: DeliveryAttempts
  #writesPerStatement = mostWritesPerStatement

  constructor(parts: DeliveryParts) {
    this.#parts = parts
    this.#attempts = new DeliveryAttempts(parts.clock, parts.log)
  }

  /** Error with which the database answered when they were last sent; undefined if there was none. */
  get obstacle(): CacheErrorCode | undefined {
    return this.#parts.pending.size > 0 ? this.#attempts.obstacle : undefined
  }

  /**
   * Runs a direct write of a key, so that no pending write of the key is applied after it. A pending write without a
   * base does not notice that its row was deleted:
   *
   *   1. A pending write is in flight.
   *   2. A delete is sent and acknowledged.
   *   3. The pending write finds no row, and inserts one.
   */
  inOrder<T>(id: string, write: () => Promise<T>): Promise<T> {
    return this.#parts.pending.has(id) ? this.#afterPending(id, write) : write()
  }

  async #afterPending<T>(id: string, write: () => Promise<T>): Promise<T> {
    while (this.#onTheirWay.has(id)) await this.#sending?.catch(() => undefined)
    this.#heldBack.set(id, (this.#heldBack.get(id) ?? 0) + 1)
    try {
      return await write()
    } finally {
      const others = (this.#heldBack.get(id) as number) - 1
      if (others > 0) this.#heldBack.set(id, others)
      else this.#heldBack.delete(id)
    }
  }

  /**
   * Sends the pending write of a key, if there is one. Rejects if it cannot be sent now: whether it will be written is
   * open.
   */
  async finish(id: string): Promise<void> {
    const { pending } = this.#parts
    if (pending.has(id)) await this.send()
    if (pending.has(id))
      throw new CacheError('store-unavailable', 'a pending write of the key has not been sent yet')
  }

  /** Drops the pending write of a key, because a direct write has succeeded. */
  drop(id: string): void {
    this.#parts.pending.drop(id)
    this.#inDoubt.delete(id)
  }

  /** Records that the database has another history, in which the transaction ids have other meanings. */
  historyChanged(): void {
    const { pending } = this.#parts
    for (const id of this.#inDoubt.keys()) pending.doubt(id)
    this.#inDoubt.clear()
    pending.historyChanged()
  }

  /**
   * Sends all pending writes, because the store has just answered, unless it has answered them with an error a moment
   * ago.
   */
  inContact(): void {
    if (this.#parts.pending.size === 0 || !this.#attempts.isDue) return
    this.send().catch((error: unknown) => this.#attempts.unsent(error))
  }

  /**
   * Sends all pending writes. Those that the store cannot accept now stay. Rejects if the store is unavailable. Calls
   * during a running `send` share it.
   */
  send(): Promise<void> {
    if (this.#parts.pending.size === 0) return Promise.resolve()
    this.#sending ??= this.#send().finally(() => {
      this.#onTheirWay.clear()
      this.#sending = undefined
    })
    return this.#sending
  }

  async #send(): Promise<void> {
    const { pending, clock } = this.#parts
    const lateMs = clock.now() + maxSplittingMs
    await this.#resolveDoubts()
    const batch: Sent[] = []
    for (const [id, write] of pending)
      if (!this.#heldBack.has(id) && !this.#inDoubt.has(id)) batch.push({ id, key: write.key, write })
    for (const { id } of batch) this.#onTheirWay.add(id)
    let failure: unknown = this.#inDoubt.size > 0 ? stillInDoubt : undefined
    const size = this.#writesPerStatement
    const bytes = Math.min(mostBytesPerStatement, pending.maxBytes / copiesInStatement)
    for (const chunk of chunksOf(batch, size, bytes)) {
      const results = await runBisecting(chunk, {
        run: (part) => this.#settle(part),
        lockedOf: (keys) => this.#parts.store.lockedOf(keys),
        isLate: () => clock.now() >= lateMs,
      })
      results.forEach((result, index) => {
        const { id, write } = chunk[index] as (typeof chunk)[number]
        if (result.status === 'fulfilled') this.#settled(id, write, result.value ?? { kind: 'conflict' })
        else if (hasCode(result.reason, 'refused')) this.#refused(id, write, result.reason)
        else {
          // The write is sent again.
          failure = result.reason
        }
      })
      if (hasCode(failure, 'store-unavailable')) break
    }
    // One slow row must not delay all others: after a timeout they are sent in smaller statements, in the end one by
    // one.
    if (hasCode(failure, 'store-busy')) this.#writesPerStatement = Math.max(1, size >> 2)
    else this.#writesPerStatement = mostWritesPerStatement
    this.#attempts.ended(failure, pending.size)
    if (hasCode(failure, 'store-unavailable')) throw failure
  }

  async #settle(part: readonly Sent[]): Promise<ReadonlyMap<string, Settlement>> {
    const { store, pending, clock } = this.#parts
    let transaction: Transaction | undefined
    const writes = part.map(({ write }) => sentWrite(write, clock.now()))
    try {
      return await store.settle(writes, (begun) => {
        transaction = begun
      })
    } catch (error) {
      if (hasCode(error, 'outcome-unknown')) {
        for (const [index, { id, write }] of part.entries()) {
          const sent = writes[index] as SentWrite
          if (transaction) this.#inDoubt.set(id, { transaction, write, sent })
          else pending.doubt(id)
        }
      }
      throw error
    }
  }

  /**
   * Resolves the outcome of transactions that were committing when their connection was lost. The rows alone do not
   * tell:
   *
   *   1. Pending writes are sent, and the connection breaks.
   *   2. They were committed, or they were not.
   *   3. They are sent again, and the rows are not what they were before step 1: because of step 1, or because of
   *      another client?
   */
  async #resolveDoubts(): Promise<void> {
    const { store, pending } = this.#parts
    const inDoubt = [...this.#inDoubt]
    for (const transaction of new Set(inDoubt.map(([, one]) => one.transaction))) {
      const members = inDoubt.filter(([, one]) => one.transaction === transaction)
      const writes = members.map(([, { sent }]) => sent)
      const outcome = await store.outcomeOf(transaction, writes)
      if (outcome === 'in-progress') continue
      for (const [id, { write }] of members) {
        this.#inDoubt.delete(id)
        if (typeof outcome === 'object')
          this.#settled(id, write, outcome.settlements.get(write.key) ?? { kind: 'conflict' })
        else if (outcome === 'unknown') pending.doubt(id)
      }
    }
  }

  /** Gives up a write that the database would always refuse. */
  #refused(id: string, write: PendingWrite, error: CacheError): void {
    this.#settled(id, write, { kind: 'conflict' }, error.message)
  }

  #settled(id: string, write: PendingWrite, settlement: Settlement, reason = 'the row has changed'): void {
    const { pending, state, versions, health, stats, log } = this.#parts
    if (settlement.kind === 'conflict') {
      stats.pendingConflicts++
      log.warn({ keyHash: keyHash(write.key), reason }, 'a pending write was given up')
      pending.settled(id, write)
      state.written(id, undefined)
      return
    }
    stats.pendingSettled++
    const { written } = settlement
    const { expiresAtMs } = write
    const { fingerprint } = versions
    const base: Base = written
      ? { kind: 'held', version: written.version, value: undefined, fingerprint, expiresAtMs }
      : { kind: 'unseen', mark: undefined }
    pending.settled(id, write, { base, ...(written && { epoch: written.epoch }) })
    if (written) health.succeeded('write')
    state.written(id, written && { ...written, expiresAtMs })
  }
}

/** Splits the writes into statements of bounded size. A single write is never split. */
function chunksOf(batch: readonly Sent[], mostWrites: number, mostBytes: number): Sent[][] {
  const chunks: Sent[][] = []
  let bytes = 0
  for (const sent of batch) {
    const chunk = chunks.at(-1)
    bytes += pendingBytes(sent.write)
    if (chunk === undefined || chunk.length >= mostWrites || bytes > mostBytes) {
      chunks.push([sent])
      bytes = pendingBytes(sent.write)
    } else chunk.push(sent)
  }
  return chunks
}
