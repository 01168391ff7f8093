import { getHeapStatistics } from 'node:v8'

/** Bytes that each part of the memory may take. Whoever finds its part full is refused before anything is allocated. */
export interface MemoryBudget {
  /** Entries: keys, values, and the bookkeeping for each. */
  readonly entries: number
  /** Values on their way from the database. */
  readonly transfers: number
  /** Responses that clients have not read yet. */
  readonly responses: number
  /** Bodies of requests. */
  readonly bodies: number
  /** Writes kept until the database is back, and the values of those whose outcome is unknown: half each. */
  readonly pendingWrites: number
}

const mebibyte = 1024 * 1024
/** Code, stacks, buffers of sockets, and what malloc keeps of memory that was freed: measured by `npm run torture`. */
const outsideHeapBytes = 128 * mebibyte
/** A process at rest takes this of its heap. */
const restingHeapBytes = 48 * mebibyte
/** The rest of the heap is for what short-lived objects take until they are collected. */
const shareOfHeap = 0.7
const leastBytes = 16 * mebibyte

/** An entry takes so much beside the texts of its key and value (bench/inside/held-bytes.mjs). */
export const entryBookkeepingBytes = 512

/** What the process may use for its work: what the container's limit and the heap's leave it. */
export function defaultMemoryBytes(
  heapLimitBytes = getHeapStatistics().heap_size_limit,
  constrainedBytes = process.constrainedMemory(),
): number {
  // Without a limit, Node says 0 or nothing, or a number beyond every machine.
  const containerBytes = constrainedBytes || Number.POSITIVE_INFINITY
  const bytes = Math.min(heapLimitBytes * shareOfHeap, containerBytes - outsideHeapBytes - restingHeapBytes)
  return Math.max(leastBytes, Math.floor(bytes))
}

export function memoryBudget(bytes: number): MemoryBudget {
  const share = (part: number) => Math.floor(bytes * part)
  return {
    entries: share(0.5),
    transfers: share(0.15),
    responses: share(0.15),
    bodies: share(0.1),
    pendingWrites: share(0.1),
  }
}
