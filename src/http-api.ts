/**
 * The types of the package: JSON bodies of the HTTP API, for applications in TypeScript. This file imports nothing,
 * because it is the only one whose types are published. The endpoints are checked against it.
 */

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue }

/** Body of `POST /cache/set`. */
export interface SetRequest {
  /** 1 to 1,024 bytes of UTF-8, without U+0000. */
  readonly key: string
  readonly value: NonNullable<JsonValue>
  /** Time to live, from 0.001 to 1,000,000,000. Without it, the entry does not expire. */
  readonly ttl_seconds?: number
  /** Names of up to 32 groups, of 1 to 256 bytes of UTF-8 each. */
  readonly groups?: readonly string[]
}

/** Response to `POST /cache/set`, with status 200. */
export type SetResponse = (
  | { readonly ok: true; readonly db_written: true; readonly token: string }
  /** The database is unavailable: the sidecar keeps the write and sends it later. */
  | { readonly ok: true; readonly db_written: false }
) & {
  /** Remaining time to live, in steps of 0.001; left out if the entry does not expire. */
  readonly expires_in_seconds?: number
}

/** Response to `GET /cache/get`, with status 200. */
export interface ReadResponse {
  readonly key: string
  readonly value: NonNullable<JsonValue>
  /** Given if the value is binary: it is a string with the bytes in base64. */
  readonly encoding?: 'base64'
  /** `cache`: the value comes from memory. `db`: the database was asked. */
  readonly source: 'cache' | 'db'
  /** True if the value comes from memory without proof that it is fresh; left out otherwise. */
  readonly stale?: true
  /** Remaining time to live, in steps of 0.001; left out if the entry does not expire. */
  readonly expires_in_seconds?: number
}

/** Body of `POST /v1/entries:get`. */
export interface EntriesRequest {
  /** Up to 1,000 keys. */
  readonly keys: readonly string[]
  /** `bounded` by default. `strong`: all entries are read from the primary in one statement. */
  readonly consistency?: 'bounded' | 'strong'
}

/** Response to `POST /v1/entries:get`, with status 200. */
export interface EntriesResponse {
  /** The entries found, in the order of the request, each key once. */
  readonly entries: readonly (ReadResponse & {
    /** Entity tag, for the condition of a write; left out for a pending write. */
    readonly etag?: string
  })[]
  /** The keys without an entry, in the order of the request. */
  readonly missing: readonly string[]
}

/** Response to `DELETE /cache/delete`, with status 200. */
export type DeleteResponse = {
  readonly cache_removed: boolean
  readonly db_removed: boolean
} & (
  | { readonly token: string }
  /** The database is unavailable: the sidecar keeps the delete and sends it later. */
  | { readonly pending: true }
)

/** Member of the response to `GET /v1/entries`. */
export interface ListedEntry {
  readonly key: string
  readonly version: string
  /** Size of the stored value, in bytes. */
  readonly size: number
  /** Remaining time to live, in steps of 0.001; null if the entry does not expire. */
  readonly expires_in_seconds: number | null
  /** Names of its groups; left out if there are none. */
  readonly groups?: readonly string[]
  /** Only with `values=true`, and only if the value is not too large for a page. */
  readonly value?: NonNullable<JsonValue>
  /** Given with a binary value, as in `ReadResponse`. */
  readonly encoding?: 'base64'
}

/** Response to `GET /v1/entries`, with status 200. */
export interface ListResponse {
  readonly entries: readonly ListedEntry[]
  /** Value of `after` for the next page; left out on the last page. */
  readonly next?: string
}

/** Response to `GET /v1/entries:count`, with status 200. */
export interface CountResponse {
  readonly count: number
}

/** Member of the response to `POST /v1/entries:batch`. */
export interface BatchResult {
  readonly key: string
  /** Status that a request of its own would get. */
  readonly status: number
  /** Token of the write. */
  readonly token?: string
  /** Entity tag of the entry, where it is known. */
  readonly etag?: string
  /** True if the database is unavailable and the sidecar keeps the write. */
  readonly pending?: true
  /** Reason of a failure. */
  readonly detail?: string
}

/** Response to `POST /v1/entries:batch`, with status 200. */
export interface BatchResponse {
  /** A result for each item, in their order. */
  readonly results: readonly BatchResult[]
}

/** Body of `POST /v1/invalidate`. It selects entries by at least one member. */
export interface InvalidateRequest {
  /** Up to 1,000 keys. */
  readonly keys?: readonly string[]
  /** Names of up to 1,000 groups. */
  readonly groups?: readonly string[]
  /** Beginning of the keys, not empty. */
  readonly prefix?: string
  /** True for all entries, without any other member. */
  readonly all?: boolean
}

/** Response to `POST /v1/invalidate`, with status 200. */
export interface InvalidateResponse {
  /** Number of entries that were removed from the database. */
  readonly removed: number
}

/** Response to `GET /health`, with status 200. */
export interface HealthResponse {
  readonly status: 'ok'
  readonly version: string
  readonly feed: string
  /** Reason why the feed is not live. */
  readonly reason?: string
  /** Reasons why reads, writes or deletes fail. */
  readonly failing?: { readonly [operation: string]: string }
  readonly pending_writes?: { readonly count: number; readonly reason?: string }
}

/** Response to `GET /`. */
export interface ServiceResponse {
  readonly service: 'caching-layer'
  readonly version: string
  readonly endpoints: readonly string[]
  /** URL of the database, without the password. */
  readonly postgres: string
  readonly cache: { readonly capacity: number; readonly ttl_seconds: number }
}

/** Body of every response with a status of 400 or more (RFC 9457). */
export interface Problem {
  /** URL of the paragraph that explains this kind of problem. */
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
}
