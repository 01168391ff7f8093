import type { PendingWrite, Value } from '../entry.js'
import type { SentWrite } from '../ports.js'
import { heldBytes } from '../state/held-bytes.js'
import { SizedMap } from '../state/sized-map.js'

export interface PendingWritesBounds {
  /** Maximum number of pending writes. */
  readonly capacity: number
  /** Maximum size of all pending writes, in bytes. */
  readonly maxBytes: number
}

/** Bytes that a pending write takes in addition to its texts. */
const bookkeepingBytes = 256
/** Maximum number of keys whose writes of unknown outcome are remembered, and maximum number of outcomes of each. */
const maxUnknown = 1_000
const maxOutcomes = 16

type Unknown = Pick<PendingWrite, 'base' | 'epoch' | 'outcomes' | 'outcomesExpireAtMs'>

/** A write that was sent directly. */
export type DirectWrite = Pick<PendingWrite, 'value' | 'mediaType' | 'base' | 'epoch' | 'expiresAtMs'>

/**
 * The writes to send when the database is back, by key id. Their number and size are bounded. `Delivery` sends them.
 */
export class PendingWrites {
  #bounds: PendingWritesBounds
  readonly #writes = new SizedMap<PendingWrite>(pendingBytes)
  /** Direct writes whose outcome is unknown, by key id; see `sentInVain`. */
  readonly #unknown = new SizedMap<Unknown>(unknownBytes)

  constructor(bounds: PendingWritesBounds) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#writes.size
  }

  /** Size of all pending writes, in bytes. */
  get bytes(): number {
    return this.#writes.bytes
  }

  /** Maximum size of all pending writes, in bytes. */
  get maxBytes(): number {
    return this.#bounds.maxBytes
  }

  /** Size of the values of writes whose outcome is unknown, in bytes. */
  get unknownBytes(): number {
    return this.#unknown.bytes
  }

  get(id: string): PendingWrite | undefined {
    return this.#writes.get(id)
  }

  has(id: string): boolean {
    return this.#writes.has(id)
  }

  [Symbol.iterator](): Iterator<[id: string, write: PendingWrite]> {
    return this.#writes[Symbol.iterator]()
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
      const outcomesExpireAtMs = earliest(earlier.outcomesExpireAtMs, unknown?.outcomesExpireAtMs)
      const { value, mediaType, expiresAtMs, groups } = write
      // The write comes after every write of unknown outcome. If there is no row, it may be the first to create it.
      return {
        ...earlier,
        value,
        mediaType,
        expiresAtMs,
        groups,
        outcomes,
        outcomesExpireAtMs,
        mayHaveHappened: false,
      }
    }
    return { ...write, ...unknown }
  }

  /** Drops the pending write of a key, and what is known of writes of unknown outcome. */
  drop(id: string): void {
    this.#writes.delete(id)
    this.#unknown.delete(id)
  }

  /**
   * Removes a write that has been settled. If a later write of its key was kept while it was in flight, that one now
   * builds on what this one has left.
   */
  settled(id: string, write: PendingWrite, left: Partial<PendingWrite> = {}): void {
    const current = this.#writes.get(id)
    if (current === write) this.#writes.delete(id)
    else if (current) this.#writes.set(id, { ...current, ...left })
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

  /**
   * Records a direct write of this key whose outcome is unknown. `base` is the row before it. A write that becomes
   * pending later finds the row as it was, or as this write has left it.
   */
  sentInVain(id: string, { value, mediaType, base, epoch, expiresAtMs }: DirectWrite): void {
    // A pending write of the key is older, and must not replace what this one has left.
    this.doubt(id)
    const before: Unknown = this.#unknown.get(id) ?? { base, epoch, outcomes: [] }
    const outcome = value === undefined ? undefined : { value, mediaType }
    const next = {
      ...before,
      outcomes: [...before.outcomes.slice(1 - maxOutcomes), outcome],
      outcomesExpireAtMs: earliest(before.outcomesExpireAtMs, expiresAtMs),
    }
    const isFull =
      this.#unknown.size >= maxUnknown || this.#unknown.bytesWith(id, next) > this.#bounds.maxBytes
    if (isFull) this.#unknown.clear()
    this.#unknown.set(id, next)
  }

  /** Forgets the writes of unknown outcome, because the database has another history. */
  historyChanged(): void {
    this.#unknown.clear()
  }
}

/** Returns the value that a pending write leaves at this moment; undefined for a delete, and once it has expired. */
export function pendingValue({ value, expiresAtMs }: PendingWrite, nowMs: number): Value | undefined {
  return expiresAtMs !== undefined && expiresAtMs <= nowMs ? undefined : value
}

/** Returns a pending write as it is sent at this moment. */
export function sentWrite(write: PendingWrite, nowMs: number): SentWrite {
  const { expiresAtMs, outcomesExpireAtMs, ...sent } = write
  const value = pendingValue(write, nowMs)
  const { base } = write
  const rowExpiresAtMs = earliest(outcomesExpireAtMs, base.kind === 'held' ? base.expiresAtMs : undefined)
  return {
    ...sent,
    value,
    ...(value !== undefined && expiresAtMs !== undefined && { ttlMs: expiresAtMs - nowMs }),
    mayHaveExpired: rowExpiresAtMs !== undefined && rowExpiresAtMs <= nowMs,
  }
}

/** Returns the earlier of two times; undefined stands for never. */
function earliest(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}

/** Returns the size of a pending write, in bytes. */
export function pendingBytes(write: PendingWrite): number {
  let bytes = bookkeepingBytes + heldBytes(write.key) + contentBytes(write) + unknownBytes(write)
  for (const group of write.groups ?? []) bytes += heldBytes(group)
  return bytes
}

function unknownBytes({ base, outcomes }: Unknown): number {
  let bytes = base.kind === 'held' ? contentBytes(base) : 0
  for (const content of outcomes) if (content) bytes += contentBytes(content)
  return bytes
}

function contentBytes({ value, mediaType }: Pick<PendingWrite, 'value' | 'mediaType'>): number {
  return value === undefined ? 0 : heldBytes(value) + (mediaType?.length ?? 0)
}
