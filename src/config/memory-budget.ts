import { getHeapStatistics } from 'node:v8'

/**
 * Bytes that each part of the memory may take. If a part is full, requests for it are refused before anything is
 * allocated. The parts have the names that statistics and metrics use.
 */
export interface MemoryBudget {
  /** Entries: keys, values, and the bookkeeping for each. */
  readonly entries: number
  /** Keys that do not exist, and the bookkeeping for each. */
  readonly negative_entries: number
  /** Values that are being read from the database. */
  readonly values_in_flight: number
  /** Responses that clients have not read yet. */
  readonly responses: number
  /** Request bodies. */
  readonly request_bodies: number
  /** Pending writes, and the values of writes whose outcome is unknown: half each. */
  readonly pending_writes: number
}

const mebibyte = 1024 * 1024
/**
 * Memory outside the heap: code, stacks, socket buffers, and memory that malloc keeps after it was freed. Measured by
 * `npm run torture`.
 */
const outsideHeapBytes = 128 * mebibyte
/** Heap that an idle process uses. */
const restingHeapBytes = 48 * mebibyte
/** Share of the heap for the budget. The rest is for short-lived objects until they are collected. */
const shareOfHeap = 0.7
const leastBytes = 16 * mebibyte

/** Bytes that an entry takes in addition to the texts of its key and value (bench/inside/held-bytes.mjs). */
export const entryBookkeepingBytes = 512

/** Bytes that a negative entry takes in addition to its key (bench/inside/held-bytes.mjs). */
export const negativeBookkeepingBytes = 384
/** Bytes of a key for which the default number of negative entries makes room. */
const usualKeyBytes = 128

/** Returns how many negative entries are held if no setting says otherwise. */
export function defaultNegativeCapacity(capacity: number, memoryBytes = defaultMemoryBytes()): number {
  const room = memoryBudget(memoryBytes).negative_entries
  return Math.min(capacity, Math.floor(room / (negativeBookkeepingBytes + usualKeyBytes)))
}

/**
 * Returns the memory that the process may use for its work, according to the limits of the container and of the heap.
 */
export function defaultMemoryBytes(
  heapLimitBytes = getHeapStatistics().heap_size_limit,
  constrainedBytes = process.constrainedMemory(),
): number {
  // Without a limit, Node returns 0, undefined, or a number larger than the memory of any machine.
  const containerBytes = constrainedBytes || Number.POSITIVE_INFINITY
  const bytes = Math.min(heapLimitBytes * shareOfHeap, containerBytes - outsideHeapBytes - restingHeapBytes)
  return Math.max(leastBytes, Math.floor(bytes))
}

/** Bytes that a connection takes at most: 16 KiB of headers, in buffers and as texts, and the objects of Node. */
const connectionBytes = 64 * 1024

/** Returns how many connections may be open at once in addition to the budget. */
export function maxConnectionsIn(memoryBytes: number): number {
  return Math.floor(memoryBytes / connectionBytes)
}

/** Returns the number of connections that may be open if no setting says otherwise. */
export function defaultMaxConnections(memoryBytes = defaultMemoryBytes()): number {
  return Math.min(10_000, maxConnectionsIn(memoryBytes))
}

export function memoryBudget(bytes: number): MemoryBudget {
  const share = (part: number) => Math.floor(bytes * part)
  return {
    entries: share(0.5),
    negative_entries: share(0.05),
    values_in_flight: share(0.125),
    responses: share(0.125),
    request_bodies: share(0.1),
    pending_writes: share(0.1),
  }
}
