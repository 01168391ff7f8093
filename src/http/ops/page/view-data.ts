import type { AttemptsStatus } from '../../../core/breaker.js'
import type { Fleet } from '../../../core/state/fleet-member.js'

/** The answers of `GET /ui/...`, in JSON, for clients that may see keys. `ui/` imports these types. */
export interface ViewAnswers {
  readonly fleet: FleetView
  readonly keys: KeysView
  readonly database: DatabaseView
  readonly findings: FindingsView
  readonly settings: SettingsView
}

/** The answer to `POST /ui/set`, `/ui/delete` and `/ui/drop`, in JSON. */
export interface WriteAnswer {
  /**
   * `pending`: the database is unavailable, and the write is kept in memory and sent later. `absent`: there was no entry
   * to delete. `not-held`: nothing was held of the key that is dropped.
   */
  readonly outcome:
    | 'written'
    | 'deleted'
    | 'absent'
    | 'pending'
    | 'dropped'
    | 'not-held'
    | 'dropped-everywhere'
}

export interface FleetView extends Fleet {
  /** Name of the machine of the sidecar that answers, and the port of its page. */
  readonly host: string
  readonly pagePort: number
}

export interface KeysView {
  /** In the order of the bytes of their keys. */
  readonly entries: readonly ShownEntry[]
  /** Key after which the next page begins; undefined on the last one. */
  readonly next?: string
  /** True if values are shown. */
  readonly hasValues: boolean
}

export interface ShownEntry {
  readonly key: string
  readonly bytes: number
  /** Null if the row does not expire. */
  readonly expiresInSeconds: number | null
  readonly version: string
  readonly groups: readonly string[]
  /** True if this sidecar holds the entry in memory. */
  readonly isHeld: boolean
  /** The beginning of the value as JSON. Undefined if values are not shown, or if this one is too large. */
  readonly value?: string
}

export interface DatabaseView {
  readonly pool: {
    readonly busy: number
    readonly idle: number
    readonly waiting: number
    readonly size: number
  }
  readonly attempts: AttemptsStatus
  /** Errors of the database since the start, by kind. */
  readonly errors: readonly { readonly code: string; readonly count: number }[]
  /** Statements that drain the outbox, and rows that they announced. */
  readonly drains: { readonly statements: number; readonly rows: number }
  /** Answer of the database; null while this sidecar is idle, or if the database does not answer. */
  readonly facts: DatabaseFacts | null
  readonly bindings: readonly ShownBinding[]
}

export interface DatabaseFacts {
  readonly serverVersion: string
  /** Used part of the notification queue, from 0 to 1. */
  readonly queueUsage: number
  /** Rows of cache_entries, as the server estimates them; null if it does not know yet. */
  readonly rows: number | null
  readonly tableBytes: number
  /** Rows of the outbox, at most 10,000; null if they may not be read. */
  readonly outboxRows: number | null
  /** Migrations that are applied; null if they may not be read. */
  readonly migrations: number | null
}

export interface ShownBinding {
  readonly pattern: string
  readonly source: 'table' | 'query'
  readonly announce: 'outbox' | 'notify'
  /** Why it cannot be used, and what to do. */
  readonly fault?: { readonly says: string; readonly cure: string }
  /** Reads of its keys since the start: those that memory answered as fresh, and the others. */
  readonly hits: number
  readonly misses: number
  /** Reads of its keys from the database since the start: statements, keys, and the time of all statements. */
  readonly reads: { readonly statements: number; readonly keys: number; readonly totalMs: number }
}

export interface FindingsView {
  readonly atMs: number
  readonly findings: readonly ShownFinding[]
}

/** A finding of `caching-layer doctor`. */
export interface ShownFinding {
  readonly check: string
  readonly level: 'ok' | 'warning' | 'bad' | 'skipped'
  readonly says: string
  readonly cure?: string
}

export interface SettingsView {
  readonly settings: readonly ShownSetting[]
}

/** A setting, without its secrets. */
export interface ShownSetting {
  readonly variable: string
  readonly value: string | number | boolean | null
  readonly default: string | number | boolean | null
  readonly unit: string | null
  readonly source: 'default' | 'file' | 'environment' | 'flag'
  readonly reloads: boolean
  readonly about: string
}
