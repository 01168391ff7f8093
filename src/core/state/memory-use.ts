/** Parts of the memory that requests and entries take, each with a bound of its own. */
export type MemoryPart = 'entries' | 'values_in_flight' | 'responses' | 'request_bodies' | 'pending_writes'

export interface PartUse {
  /** Bytes taken now. */
  readonly bytes: number
  readonly limitBytes: number
}

/** Use of each part. */
export type MemoryUse = Readonly<Record<MemoryPart, PartUse>>
