import { SuspendClock } from '../../../src/sidecar/suspend-clock.js'
import type {
  ChangeEvent,
  Client,
  ClientOptions,
  ComputeOptions,
  DeleteOptions,
  Entry,
  GapEvent,
  Near,
  ReadOptions,
  RequestOptions,
  SchemaOptions,
  Selection,
  Value,
  WatchOptions,
  WriteOptions,
  WriteResult,
} from './api.js'
import {
  checkClient,
  checkCompute,
  checkDelete,
  checkKey,
  checkKeys,
  checkRead,
  checkRequest,
  checkSelection,
  checkText,
  checkWrite,
} from './arguments.js'
import { watch } from './changes/watch.js'
import { Computations, isStorable } from './computing/computations.js'
import { SidecarLiveness } from './computing/sidecar-liveness.js'
import { EntryRequests } from './entries/entry-requests.js'
import { entryOf, Reads } from './entries/reads.js'
import { SessionTokens } from './entries/session-tokens.js'
import { validated } from './entries/validated.js'
import { Writes } from './entries/writes.js'
import { closedError, Transport } from './http/transport.js'
import { HitClock } from './near/hit-clock.js'
import { NearCache } from './near/near-cache.js'
import { givenAway, type NearEntry } from './near/near-entry.js'
import { NearFeed } from './near/near-feed.js'
import type { StandardSchema } from './standard-schema.js'

const usualTimeoutMs = 5_000
const usualMaxConnections = 32

type AnySchema = Partial<Pick<SchemaOptions<unknown>, 'schema'>>
type AnyReadOptions = ReadOptions & AnySchema
type AnyComputeOptions = ComputeOptions & AnySchema

/** Joins the parts of a client: connections, reads, writes, computations, and the near cache with its stream. */
export class CachingClient implements Client {
  readonly #transport: Transport
  readonly #closed = new AbortController()
  readonly #reads: Reads
  readonly #writes: Writes
  readonly #computations: Computations
  readonly #feed: NearFeed | undefined
  readonly near: Near | undefined

  constructor(options: ClientOptions) {
    checkClient(options)
    const { url, token, timeoutMs = usualTimeoutMs, maxConnections = usualMaxConnections } = options
    // It counts the time for which the machine sleeps, because a proof must not outlive it.
    const clock = new SuspendClock({ monotonicMs: () => performance.now(), wallMs: () => Date.now() })
    const transport = new Transport({ url, token, timeoutMs, maxConnections })
    const requests = new EntryRequests(transport)
    const tokens = new SessionTokens(() => clock.now())
    const near = options.near && new NearCache(options.near, clock, new HitClock({ clock, wallMs: Date.now }))
    this.#transport = transport
    this.#reads = new Reads({ requests, tokens, near })
    const onWritten = (key?: string) => this.#computations.changed(key)
    this.#writes = new Writes({ requests, tokens, near, onWritten })
    this.#computations = new Computations({
      requests,
      reads: this.#reads,
      writes: this.#writes,
      tokens,
      liveness: new SidecarLiveness({ transport, clock }),
      closed: this.#closed.signal,
      timeoutMs,
    })
    if (near === undefined) return
    this.#feed = new NearFeed({ near, transport, clock })
    this.near = {
      get: <T>(key: string) => {
        checkText('key', key)
        return heldValue<T>(near.hit(key))
      },
      stats: () => near.stats(),
    }
  }

  async get<T>(key: string, options: AnyReadOptions = {}): Promise<T | undefined> {
    const held = this.#held(key, options)
    if (held !== undefined && options.schema === undefined) return heldValue<T>(held)
    return (await this.#entry<T>(key, options, held))?.value
  }

  async getEntry<T>(key: string, options: AnyReadOptions = {}): Promise<Entry<T> | undefined> {
    return this.#entry(key, options, this.#held(key, options))
  }

  /** Checks the arguments as far as a hit needs it. */
  #held(key: string, options: AnyReadOptions): NearEntry | null | undefined {
    checkRead(options)
    checkText('key', key)
    return this.#reads.held(key, options.consistency)
  }

  async #entry<T>(
    key: string,
    { schema, ...options }: AnyReadOptions,
    held: NearEntry | null | undefined,
  ): Promise<Entry<T> | undefined> {
    if (held === undefined) checkKey(key)
    const entry = held === undefined ? await this.#reads.ask(key, options) : held && entryOf(held)
    if (!entry) return undefined
    return { ...entry, value: (schema ? await validated(key, entry.value, schema) : entry.value) as T }
  }

  async getMany<T>(keys: readonly string[], options: AnyReadOptions = {}): Promise<Map<string, T>> {
    checkKeys(keys)
    checkRead(options)
    const { schema, ...read } = options
    const values = new Map<string, T>()
    for (const [key, { value }] of await this.#reads.getMany(keys, read))
      values.set(key, (schema ? await validated(key, value, schema) : value) as T)
    return values
  }

  async set(key: string, value: Value, options: WriteOptions = {}): Promise<WriteResult> {
    checkKey(key)
    checkWrite(options)
    return this.#writes.set(key, value, options)
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<WriteResult> {
    checkKey(key)
    checkDelete(options)
    return this.#writes.delete(key, options)
  }

  async invalidate(selection: Selection, options: RequestOptions = {}): Promise<number> {
    checkSelection(selection)
    checkRequest(options)
    return this.#writes.invalidate(selection, options)
  }

  async getOrCompute<T>(key: string, compute: () => unknown, options: AnyComputeOptions = {}): Promise<T> {
    checkKey(key)
    checkCompute(compute, options)
    if (this.#closed.signal.aborted) throw closedError()
    const { schema, ...computing } = options
    const held = this.#reads.held(key)
    const value = held
      ? givenAway(held.content)
      : await this.#computations.get(key, schema ? () => fitting(key, compute, schema) : compute, computing)
    return (schema && isStorable(value) ? await validated(key, value, schema) : value) as T
  }

  watch(options: WatchOptions = {}): AsyncIterableIterator<ChangeEvent | GapEvent> {
    return watch(this.#transport, options, this.#closed.signal)
  }

  async close(): Promise<void> {
    this.#closed.abort(closedError())
    this.#feed?.close()
    this.#transport.close()
  }
}

/** Returns the value of an entry that is held; undefined for a key that does not exist, and if nothing is held. */
function heldValue<T>(held: NearEntry | null | undefined): T | undefined {
  return held ? (givenAway(held.content) as T) : undefined
}

/** Computes a value, and requires that it fits the schema: one that does not would be refused by every read. */
async function fitting(key: string, compute: () => unknown, schema: StandardSchema): Promise<unknown> {
  const value = await compute()
  if (isStorable(value)) await validated(key, value, schema)
  return value
}
