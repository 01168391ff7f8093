import type { StandardSchema } from './standard-schema.js'

/** The public interface of the client. */

/**
 * A value of an entry: JSON except null, or bytes (`Uint8Array`). What JSON.stringify leaves out is not stored. The type
 * is not narrower, because an interface has no index signature.
 */
export type Value = string | number | boolean | object

export interface ClientOptions {
  /** URL of the sidecar, such as `http://127.0.0.1:8025`. */
  readonly url: string
  /** Token that the sidecar requires (`CACHE_API_TOKEN`); undefined for none. */
  readonly token?: string | undefined
  /** Maximum time for a request, with its repetitions, in ms. 5,000 by default. */
  readonly timeoutMs?: number | undefined
  /**
   * Maximum number of connections to the sidecar for reads, for writes, and for calls that wait for another process: 32
   * of each by default.
   */
  readonly maxConnections?: number | undefined
  /** Holds values in the memory of this process. Undefined to hold none. */
  readonly near?: NearOptions | undefined
}

export interface NearOptions {
  /** Maximum number of entries. A tenth of it is the maximum number of keys that are known not to exist. */
  readonly maxEntries: number
  /** Maximum size of all keys and values together, as they are sent, in bytes. */
  readonly maxBytes: number
  /** Maximum time for which a value is held without asking the sidecar again, in ms. 60,000 by default. */
  readonly ttlMs?: number | undefined
}

export interface RequestOptions {
  /** Ends the request when it is aborted. The promise rejects with the reason of the signal. */
  readonly signal?: AbortSignal | undefined
  /** Maximum time for this request in ms, instead of that of the client. */
  readonly timeoutMs?: number | undefined
}

export interface ReadOptions extends RequestOptions {
  /**
   * `bounded`, the default: not older than the bound on staleness, and never older than the last write of the key by
   * this client. `strong`: the latest value that was acknowledged before the read.
   */
  readonly consistency?: 'bounded' | 'strong' | undefined
}

export interface SchemaOptions<T> extends ReadOptions {
  /** Validates the value. Its output is what the read returns. */
  readonly schema: StandardSchema<T>
}

/** An entry, and where it came from. */
export interface Entry<T> {
  readonly value: T
  /** `near`: the memory of this process. `cache`: the memory of the sidecar. `db`: the database. */
  readonly source: 'near' | 'cache' | 'db'
  /** True if the database is unavailable, and the value is the last one that is known. */
  readonly stale: boolean
  /** Entity tag, for `ifMatch`; undefined while a write of the entry is pending. */
  readonly etag: string | undefined
}

export interface WriteOptions extends RequestOptions {
  /** Time to live in whole seconds. Without it, the entry does not expire. */
  readonly ttlSeconds?: number | undefined
  /** Names of up to 32 groups, by which the entry can be invalidated. */
  readonly groups?: readonly string[] | undefined
  /** Media type of the value. `application/json` by default, and `application/octet-stream` for bytes. */
  readonly contentType?: string | undefined
  /** Writes only if the entry has this tag, or with `*` only if there is one. */
  readonly ifMatch?: string | undefined
  /** Writes only if the entry does not have this tag, or with `*` only if there is none. */
  readonly ifNoneMatch?: string | undefined
}

export type DeleteOptions = RequestOptions & Pick<WriteOptions, 'ifMatch' | 'ifNoneMatch'>

export interface WriteResult {
  /** True if the database is unavailable, and the sidecar keeps the write until it is back. */
  readonly isPending: boolean
  /** True if there was an entry before; undefined if the write is pending. */
  readonly existed: boolean | undefined
  /** Entity tag of what was written; undefined if it is not known, or there is no entry any more. */
  readonly etag: string | undefined
}

/** The entries to remove. One that any member selects is removed. */
export interface Selection {
  readonly keys?: readonly string[] | undefined
  readonly groups?: readonly string[] | undefined
  /** Beginning of the keys, not empty. */
  readonly prefix?: string | undefined
}

export interface ComputeOptions extends RequestOptions, Pick<WriteOptions, 'ttlSeconds' | 'groups'> {
  /** Time for which this process may compute, before another one is asked to, in whole seconds. 10 by default. */
  readonly leaseSeconds?: number | undefined
  /** Time to wait for a value that another process computes, in whole seconds. 5 by default. */
  readonly waitSeconds?: number | undefined
}

/** A change of an entry, or of a row that is bound to a key. */
export interface ChangeEvent {
  readonly type: 'change'
  /** Undefined for a key of more than 512 bytes. */
  readonly key: string | undefined
  /** SHA-256 of a key of more than 512 bytes, in hexadecimal; undefined for all others. */
  readonly keyHash: string | undefined
  /** First part of the entity tag; undefined for a bound row. */
  readonly version: string | undefined
  /** True if the entry was deleted. A bound row may have been deleted, too. */
  readonly isDeleted: boolean
}

/** The stream begins, or changes may have been missed: anything may have changed. */
export interface GapEvent {
  readonly type: 'gap'
}

export interface WatchOptions {
  /** Beginning of the keys that are wanted; all keys by default. */
  readonly prefix?: string | undefined
  /** Ends the iteration when it is aborted. */
  readonly signal?: AbortSignal | undefined
}

export interface NearStats {
  readonly hits: number
  readonly misses: number
  /** Number of entries that are held, and of keys that are known not to exist. */
  readonly entries: number
  readonly absentKeys: number
  /** Size of all keys and values together, as they were sent. */
  readonly bytes: number
  /** Number of entries that were removed to make room. */
  readonly evictions: number
  /** Number of entries that a change has dropped. */
  readonly invalidations: number
  /**
   * `live`: values are held and served. `unproven`: the stream of changes is open, but its last proof is older than the
   * bound, so that nothing is served: the sidecar is frozen, or has lost its own feed. `down`: there is no stream, and
   * what is held is served until the last proof is older than the bound.
   */
  readonly feed: 'live' | 'unproven' | 'down'
  /** Age of the last proof in ms; undefined if there is none. Values are served until it is `maxStalenessMs`. */
  readonly leaseAgeMs: number | undefined
  /** Bound on staleness that the sidecar has told; undefined before the first contact. */
  readonly maxStalenessMs: number | undefined
}

/** The values that are held in the memory of this process. */
export interface Near {
  /**
   * Returns a value that is held and proven fresh, without a promise; undefined if the sidecar has to be asked, or if
   * there is no such entry.
   */
  get<T = unknown>(key: string): T | undefined
  stats(): NearStats
}

export interface Client {
  /**
   * Reads a value. Resolves to undefined if there is no such entry. All methods reject with a `CachingLayerError`, or
   * with the reason of their signal.
   */
  get<T>(key: string, options: SchemaOptions<T>): Promise<T | undefined>
  get<T = unknown>(key: string, options?: ReadOptions): Promise<T | undefined>
  /** Reads a value like `get`, with its entity tag and its source. */
  getEntry<T>(key: string, options: SchemaOptions<T>): Promise<Entry<T> | undefined>
  getEntry<T = unknown>(key: string, options?: ReadOptions): Promise<Entry<T> | undefined>
  /** Reads many values. Keys without an entry are missing from the map. */
  getMany<T>(keys: readonly string[], options: SchemaOptions<T>): Promise<Map<string, T>>
  getMany<T = unknown>(keys: readonly string[], options?: ReadOptions): Promise<Map<string, T>>
  /** Writes a value. Rejects with the kind `condition-failed` if its condition does not hold. */
  set(key: string, value: Value, options?: WriteOptions): Promise<WriteResult>
  delete(key: string, options?: DeleteOptions): Promise<WriteResult>
  /** Removes entries by key, group or prefix. Resolves to the number of entries that were removed. */
  invalidate(selection: Selection, options?: RequestOptions): Promise<number>
  /**
   * Reads a value, or computes and stores it. One process of the fleet computes, and in it one call; all others wait
   * for the value. If the sidecar or the database cannot be reached, or the sidecar answers nothing for 1.5 seconds,
   * each process computes, and nothing is stored. A computed `undefined` or `null` is returned, and not stored, and so
   * is a value that is larger than the sidecar stores. Rejects with what `compute` rejects with.
   *
   * `timeoutMs` limits each request, and not the time of `compute`. The signal ends the wait of this call, and not the
   * computation, which other calls may share.
   *
   * With a `schema`, a value that was read is validated as by `get`, and a computed one before it is stored.
   */
  getOrCompute<T, Computed>(
    key: string,
    compute: () => Computed | Promise<Computed>,
    options: ComputeOptions & Pick<SchemaOptions<T>, 'schema'>,
  ): Promise<T | (Computed & (null | undefined))>
  getOrCompute<T>(key: string, compute: () => T | Promise<T>, options?: ComputeOptions): Promise<T>
  /**
   * Follows the changes. The first event is a gap, as soon as the stream is open: what is read from then on is followed
   * by every change. The iteration connects again by itself, and continues after the last change that it received; it
   * has a gap where that is not possible. It ends with the signal, or with `close`.
   */
  watch(options?: WatchOptions): AsyncIterableIterator<ChangeEvent | GapEvent>
  /** The near cache; undefined without the option `near`. */
  readonly near: Near | undefined
  /**
   * Closes all connections, and drops the near cache. Calls under way, and later ones, reject with the kind `closed`.
   * Idempotent.
   */
  close(): Promise<void>
}
