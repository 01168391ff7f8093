import type { FeedTransition } from '../../../core/feed/feed-log.js'
import type { FeedState } from '../../../core/state/lease.js'
import type { MemoryPart } from '../../../core/state/memory-use.js'
import type { Readiness } from '../../../core/state/readiness.js'

/** The events of `GET /ui/stream`, in JSON. `ui/` imports these types, and nothing else of `src/`. */
export interface PageEvents {
  /** First event: everything that the page shows at first. */
  readonly open: Opening
  /** Sent after each sample. */
  readonly sample: Tick
  readonly changes: Changes
  readonly feed: readonly FeedEvent[]
}

export interface Opening extends Tick {
  readonly version: string
  /** Name of the machine; in Kubernetes, that of the pod. */
  readonly host: string
  readonly sampleIntervalMs: number
  /** Names of the numbers of a sample. */
  readonly columns: readonly SampleColumn[]
  /** Samples of the last 15 minutes, oldest first. */
  readonly history: readonly Row[]
  readonly feed: readonly FeedEvent[]
  readonly changes: Changes
  /** Form of the keys; `refused` if this client may not see the changes. */
  readonly keys: 'on' | 'hash' | 'refused'
  /** True if the client must send the API token to see the changes, false if it must come from loopback. */
  readonly needsToken: boolean
  /** True if this client may change keys. */
  readonly mayWrite: boolean
}

export interface Tick {
  /** Undefined until the first sample is taken. */
  readonly sample?: Row
  readonly overview: Overview
}

/** Numbers of one sample, in the order of the columns. Null: there is no such number. */
export type Row = readonly (number | null)[]

/**
 * Numbers of a sample. Hits, misses and requests are rates per second since the sample before. Quantiles are those of
 * the last 10 s.
 */
export type SampleColumn =
  /** Unix time, in s. */
  | 'time'
  | 'hits'
  | 'absent'
  | 'expired'
  | 'unproven'
  | 'requested'
  | 'requests'
  | 'p50Ms'
  | 'p99Ms'
  | 'leaseAgeMs'
  | 'memoryBytes'
  | 'residentBytes'
  | 'loopDelayMs'

/** State of the sidecar at this moment. */
export interface Overview {
  /** Time since the start, in ms, even if the clock was set back meanwhile. */
  readonly upMs: number
  readonly status: Readiness['status']
  /** Reasons of the status, each with what to do. */
  readonly reasons: readonly { readonly text: string; readonly cure: string }[]
  readonly feed: FeedState
  /** Null before the feed was live for the first time. */
  readonly leaseAgeMs: number | null
  readonly maxStalenessMs: number
  readonly entries: number
  readonly capacity: number
  readonly pendingWrites: number
  readonly memory: Readonly<Record<MemoryPart, { readonly bytes: number; readonly limitBytes: number }>>
}

/** A change of the feed's state, with a Unix time. */
export type FeedEvent = Omit<FeedTransition, 'number'>

export interface Changes {
  /** Oldest first. */
  readonly rows: readonly ChangeRow[]
  /** Number of changes before these that are left out, because there were too many at once. */
  readonly skipped: number
}

/** A change of an entry, or a moment at which changes may have been missed. */
export interface ChangeRow {
  /** Unix time, in ms. */
  readonly atMs: number
  /**
   * `row`: a row of a bound table was written or deleted. `drop`: every sidecar was told to drop the key. `gap`: changes
   * may have been missed.
   */
  readonly operation: 'set' | 'delete' | 'row' | 'drop' | 'gap'
  /**
   * Origin of the change: this sidecar (`here`), another one or SQL (`elsewhere`), or SQL (`sql`). Undefined for a
   * drop, and for a gap.
   */
  readonly origin?: 'here' | 'elsewhere' | 'sql'
  /** The key, or the beginning of its hash; undefined for a gap. */
  readonly key?: string
  readonly isHash?: boolean
}
