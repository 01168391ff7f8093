import { runBisecting } from '../batching/bisect.js'
import type { Base, Epoch, PendingWrite, Transaction, Value, Written } from '../entry.js'
import { CacheError, type CacheErrorCode, hasCode } from '../errors.js'
import type { Clock, Log, Settlement, Store } from '../ports.js'
import { heldBytes } from '../state/held-bytes.js'
import { keyHash } from '../state/key-hash.js'
import { SizedMap } from '../state/sized-map.js'
import type { Stats } from '../stats.js'

export interface PendingWritesParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  /** Returns the fingerprint of the table when it was last seen. */
  readonly fingerprint: () => string | undefined
  /** Called when a pending write has ended, with what was written; undefined for a delete or a conflict. */
  readonly onSettled: (id: string, written: Written | undefined) => void
}

export interface PendingWritesBounds {
  /** Maximum number of pending writes. */
  readonly capacity: number
  /** Maximum size of all pending writes, in bytes. */
  readonly maxBytes: number
}

const mostWritesPerStatement = 500
const mostBytesPerStatement = 8 * 1024 * 1024
/**
 * Copies of a write that exist while its statement is sent: the columns, the arrays made of them, and the message to
 * the server.
 */
const copiesInStatement = 4
/** Bytes that a pending write takes in addition to its texts. */
const bookkeepingBytes = 256
/** Pauses after the database has answered with an error: they double from the first to the longest. */
const firstPauseMs = 1_000
const longestPauseMs = 30_000
const reportIntervalMs = 60_000
/** Maximum time to look for the rows that are not locked. The others are tried again at the next contact. */
const maxSplittingMs = 2_000

/** Maximum number of keys whose writes of unknown outcome are remembered, and maximum number of outcomes of each. */
const maxUnknown = 1_000
const maxOutcomes = 16

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
}

type Unknown = Pick<PendingWrite, 'base' | 'epoch' | 'outcomes'>

/** The writes to send when the database is back, by key id. Their number and size are bounded. */
export class PendingWrites {
  #bounds: PendingWritesBounds
  readonly #parts: PendingWritesParts
  readonly #writes = new SizedMap<PendingWrite>(bytesOf)
  #sending: Promise<void> | undefined
  /**
   * Ids of pending writes in flight; ids of those that direct writes of their key hold back, with the number of these.
   */
  readonly #onTheirWay = new Set<string>()
  readonly #heldBack = new Map<string, number>()
  /** Writes whose transaction may have been committed, by key id. */
  readonly #inDoubt = new Map<string, InDoubt>()
  /** Direct writes whose outcome is unknown, by key id; see `sentInVain`. */
  readonly #unknown = new SizedMap<Unknown>(unknownBytes)
  /** Error that kept some of the writes from being sent at the last attempt; undefined if there was none. */
  #obstacle: CacheErrorCode | undefined
  #writesPerStatement = mostWritesPerStatement
  #failures = 0
  #dueMs = Number.NEGATIVE_INFINITY
  #reportedMs = Number.NEGATIVE_INFINITY
  #reportedUnsentMs = Number.NEGATIVE_INFINITY

  constructor(bounds: PendingWritesBounds, parts: PendingWritesParts) {
    this.#bounds = bounds
    this.#parts = parts
  }

  get size(): number {
    return this.#writes.size
  }

  /** Size of all pending writes, in bytes. */
  get bytes(): number {
    return this.#writes.bytes
  }

  /** Size of the values of writes whose outcome is unknown, in bytes. */
  get unknownBytes(): number {
    return this.#unknown.bytes
  }

  /** Error with which the database answered when they were last sent; undefined if there was none. */
  get obstacle(): CacheErrorCode | undefined {
    return this.#writes.size > 0 ? this.#obstacle : undefined
  }

  get(id: string): PendingWrite | undefined {
    return this.#writes.get(id)
  }

  /** Changes the maximum number of writes. Those already kept stay. */
  resize(capacity: number): void {
    this.#bounds = { ...this.#bounds, capacity }
  }

  /**
   * Keeps a write. A later write of a key replaces an earlier one and has the same base. Returns false if there is no
   * room.
   */
  keep(id: string, write: PendingWrite): boolean {
    const { capacity, maxBytes } = this.#bounds
    const earlier = this.#writes.get(id)
    if (!earlier && this.#writes.size >= capacity) return false
    const kept = this.#merged(id, write, earlier)
    if (this.#writes.bytesWith(id, kept) > maxBytes) return false
    this.#unknown.delete(id)
    this.#writes.set(id, kept)
    return true
  }

  #merged(id: string, write: PendingWrite, earlier: PendingWrite | undefined): PendingWrite {
    // An entry that has been put since then tells more than what was known before.
    const unknown = write.base.kind === 'held' && !earlier ? undefined : this.#unknown.get(id)
    if (earlier) {
      const outcomes = [...earlier.outcomes, ...(unknown?.outcomes ?? [])].slice(-maxOutcomes)
      // The write comes after every write of unknown outcome. If there is no row, it may be the first to create it.
      return { ...earlier, value: write.value, outcomes, mayHaveHappened: false }
    }
    return { ...write, ...unknown }
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
    return this.#writes.has(id) ? this.#afterKept(id, write) : write()
  }

  async #afterKept<T>(id: string, write: () => Promise<T>): Promise<T> {
    while (this.#onTheirWay.has(id)) await this.#sending?.catch(() => undefined)
    this.#heldBack.set(id, (this.#heldBack.get(id) ?? 0) + 1)
    try {
      return await write()
    } finally {
      const others = (this.#heldBack.get(id) ?? 0) - 1
      if (others > 0) this.#heldBack.set(id, others)
      else this.#heldBack.delete(id)
    }
  }

  /** Drops the pending write of a key, because a direct write has succeeded. */
  drop(id: string): void {
    this.#writes.delete(id)
    this.#inDoubt.delete(id)
    this.#unknown.delete(id)
  }

  /**
   * Records a direct write of this key whose outcome is unknown. `base` is the row before it. A write that becomes
   * pending later finds the row as it was, or as this write has left it.
   */
  sentInVain(id: string, value: Value | undefined, base: Base, epoch: Epoch | undefined): void {
    // A pending write of the key is older, and must not replace what this one has left.
    this.doubt(id)
    const { outcomes, ...before } = this.#unknown.get(id) ?? { base, epoch, outcomes: [] }
    const next = { ...before, outcomes: [...outcomes.slice(1 - maxOutcomes), value] }
    const isFull =
      this.#unknown.size >= maxUnknown || this.#unknown.bytesWith(id, next) > this.#bounds.maxBytes
    if (isFull) this.#unknown.clear()
    this.#unknown.set(id, next)
  }

  /** Records that the database has another history, in which the transaction ids have other meanings. */
  historyChanged(): void {
    for (const id of this.#inDoubt.keys()) this.doubt(id)
    this.#inDoubt.clear()
    this.#unknown.clear()
  }

  /**
   * Sends all pending writes, unless the database has answered with an error a moment ago. Logs once a minute that they
   * could not be sent: while the feed is live and the pool gets no connection, every probe makes an attempt.
   */
  async sendIfDue(): Promise<void> {
    const { clock, log } = this.#parts
    if (clock.now() < this.#dueMs) return
    await this.send().catch((error: unknown) => {
      const nowMs = clock.now()
      if (nowMs - this.#reportedUnsentMs < reportIntervalMs) return
      this.#reportedUnsentMs = nowMs
      log.warn({ err: error }, 'pending writes could not be sent yet')
    })
  }

  /**
   * Sends all pending writes. Those that the store cannot accept now stay. Rejects if the store is unavailable. Calls
   * during a running `send` share it.
   */
  send(): Promise<void> {
    if (this.#writes.size === 0) return Promise.resolve()
    this.#sending ??= this.#send().finally(() => {
      this.#onTheirWay.clear()
      this.#sending = undefined
    })
    return this.#sending
  }

  async #send(): Promise<void> {
    const { clock } = this.#parts
    const lateMs = clock.now() + maxSplittingMs
    await this.#resolveDoubts()
    const batch: Sent[] = []
    for (const [id, write] of this.#writes)
      if (!this.#heldBack.has(id) && !this.#inDoubt.has(id)) batch.push({ id, key: write.key, write })
    for (const { id } of batch) this.#onTheirWay.add(id)
    let failure: unknown = this.#inDoubt.size > 0 ? stillInDoubt : undefined
    const size = this.#writesPerStatement
    const bytes = Math.min(mostBytesPerStatement, this.#bounds.maxBytes / copiesInStatement)
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
    this.#ended(failure)
    if (hasCode(failure, 'store-unavailable')) throw failure
  }

  async #settle(part: readonly Sent[]): Promise<ReadonlyMap<string, Settlement>> {
    let transaction: Transaction | undefined
    const writes = part.map(({ write }) => write)
    try {
      return await this.#parts.store.settle(writes, (begun) => {
        transaction = begun
      })
    } catch (error) {
      if (hasCode(error, 'outcome-unknown')) {
        for (const { id, write } of part) {
          if (transaction) this.#inDoubt.set(id, { transaction, write })
          else this.doubt(id)
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
    const inDoubt = [...this.#inDoubt]
    for (const transaction of new Set(inDoubt.map(([, one]) => one.transaction))) {
      const members = inDoubt.filter(([, one]) => one.transaction === transaction)
      const writes = members.map(([, { write }]) => write)
      const outcome = await this.#parts.store.outcomeOf(transaction, writes)
      if (outcome === 'in-progress') continue
      for (const [id, { write }] of members) {
        this.#inDoubt.delete(id)
        if (typeof outcome === 'object')
          this.#settled(id, write, outcome.settlements.get(write.key) ?? { kind: 'conflict' })
        else if (outcome === 'unknown') this.doubt(id)
      }
    }
  }

  /** Logs the obstacle once a minute, so that nobody waits for these writes without knowing why. */
  #ended(failure: unknown): void {
    const { clock, log } = this.#parts
    const nowMs = clock.now()
    if (!(failure instanceof CacheError) || failure.code === 'store-unavailable') {
      this.#obstacle = failure instanceof CacheError ? failure.code : undefined
      this.#failures = 0
      this.#dueMs = Number.NEGATIVE_INFINITY
      return
    }
    this.#obstacle = failure.code
    this.#dueMs = nowMs + Math.min(firstPauseMs * 2 ** this.#failures++, longestPauseMs)
    if (nowMs - this.#reportedMs < reportIntervalMs) return
    this.#reportedMs = nowMs
    log.warn({ kept: this.#writes.size, reason: failure.message }, 'pending writes cannot be delivered')
  }

  /**
   * Records that this pending write, or a later write of its key, may have happened. The next time, the base shows
   * that, except if there is no row:
   *
   *   1. The write is sent and committed; the answer is lost.
   *   2. Another client deletes the row.
   *   3. The write is sent again: there is no row, as before step 1.
   *   4. The row is written once more, which undoes the delete.
   */
  doubt(id: string): void {
    const current = this.#writes.get(id)
    if (current) this.#writes.set(id, { ...current, mayHaveHappened: true })
  }

  /** Gives up a write that the database would always refuse. */
  #refused(id: string, write: PendingWrite, error: CacheError): void {
    this.#settled(id, write, { kind: 'conflict' }, error.message)
  }

  #settled(id: string, write: PendingWrite, settlement: Settlement, reason = 'the row has changed'): void {
    const { stats, log, fingerprint, onSettled } = this.#parts
    const written = settlement.kind === 'written' ? settlement.written : undefined
    if (settlement.kind === 'written') stats.pendingSettled++
    else {
      stats.pendingConflicts++
      const fields = { keyHash: keyHash(write.key), reason }
      log.warn(fields, 'a write kept during the outage was given up')
    }
    const current = this.#writes.get(id)
    if (current === write) this.#writes.delete(id)
    else if (current && settlement.kind === 'written') {
      // A later write of the key was kept while this one was in flight. It now builds on this one.
      const base: Base = written
        ? { kind: 'held', version: written.version, value: undefined, fingerprint: fingerprint() }
        : { kind: 'unseen', mark: undefined }
      const epoch = written?.epoch ?? current.epoch
      this.#writes.set(id, { ...current, base, epoch })
    }
    onSettled(id, written)
  }
}

function bytesOf(write: PendingWrite): number {
  return bookkeepingBytes + heldBytes(write.key) + valueBytes(write.value) + unknownBytes(write)
}

function unknownBytes({ base, outcomes }: Unknown): number {
  let bytes = base.kind === 'held' ? valueBytes(base.value) : 0
  for (const value of outcomes) bytes += valueBytes(value)
  return bytes
}

function valueBytes(value: Value | undefined): number {
  return value === undefined ? 0 : heldBytes(value)
}

/** Splits the writes into statements of bounded size. A single write is never split. */
function chunksOf(batch: readonly Sent[], mostWrites: number, mostBytes: number): Sent[][] {
  const chunks: Sent[][] = []
  let bytes = 0
  for (const sent of batch) {
    const chunk = chunks.at(-1)
    bytes += bytesOf(sent.write)
    if (chunk === undefined || chunk.length >= mostWrites || bytes > mostBytes) {
      chunks.push([sent])
      bytes = bytesOf(sent.write)
    } else chunk.push(sent)
  }
  return chunks
}
