/** A part of the memory that requests and entries take. Each part has its own bound. */
export type MemoryPart =
  | 'entries'
  | 'negative_entries'
  | 'values_in_flight'
  | 'responses'
  | 'request_bodies'
  | 'pending_writes'

export interface PartUse {
  /** Bytes in use. */
  readonly bytes: number
  readonly limitBytes: number
}

/** Memory use by part. */
export type MemoryUse = Readonly<Record<MemoryPart, PartUse>>
