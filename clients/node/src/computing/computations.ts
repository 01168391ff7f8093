import type { ComputeOptions, Value } from '../api.js'
import { CachingLayerError } from '../caching-layer-error.js'
import type { EntryRequests, LeasedAnswer } from '../entries/entry-requests.js'
import type { Reads } from '../entries/reads.js'
import type { SessionTokens } from '../entries/session-tokens.js'
import type { Writes } from '../entries/writes.js'
import { onAbort } from '../http/on-abort.js'
import type { SidecarLiveness } from './sidecar-liveness.js'

export interface ComputationsParts {
  readonly requests: EntryRequests
  readonly reads: Reads
  readonly writes: Writes
  readonly tokens: SessionTokens
  readonly liveness: SidecarLiveness
  /** Aborted when the client is closed. */
  readonly closed: AbortSignal
  /** Time limit of a request, besides the time that it waits for a value. */
  readonly timeoutMs: number
}

type Compute = () => unknown

const usualLeaseSeconds = 10
const usualWaitSeconds = 5
/** Maximum number of computations of a value, one after another, while invalidations revoke their leases. */
const maxComputations = 3

/**
 * Values that are computed where there is no entry: once in this process, and by a lease once in the fleet (P15). Calls
 * that arrive while a value is being read or computed share it.
 */
export class Computations {
  readonly #parts: ComputationsParts
  readonly #shared = new Map<string, Promise<unknown>>()

  constructor(parts: ComputationsParts) {
    this.#parts = parts
  }

  /**
   * Resolves to the value of the key. The signal of a call does not end what other calls share: it ends the wait of this
   * call.
   */
  async get(key: string, compute: Compute, options: ComputeOptions): Promise<unknown> {
    const { signal } = options
    signal?.throwIfAborted()
    const shared = this.#shared.get(key) ?? this.#share(key, this.#fill(key, compute, options))
    return signal ? untilAborted(shared, signal) : shared
  }

  /** A function may never end, so the end of the client is not left to it. */
  #share(key: string, filled: Promise<unknown>): Promise<unknown> {
    const value = untilAborted(filled, this.#parts.closed)
    this.#shared.set(key, value)
    const end = () => {
      if (this.#shared.get(key) === value) this.#shared.delete(key)
    }
    value.then(end, end)
    return value
  }

  /**
   * Lets later calls join nothing that began before now, because the key, or without a key anything, may have been
   * written:
   *
   *   1. Call A reads the data, and computes the old value.
   *   2. The application changes the data, and deletes the key.
   *   3. Call B would join A, and return the old value.
   */
  changed(key?: string): void {
    if (key === undefined) this.#shared.clear()
    else this.#shared.delete(key)
  }

  async #fill(key: string, compute: Compute, options: ComputeOptions): Promise<unknown> {
    for (let computation = 1; ; computation++) {
      const answer = await this.#ask(key, options)
      if (answer?.entry) return answer.entry.value
      const { lease } = answer ?? {}
      // Not before the lease was given: the value must not come from data of before an invalidation.
      const value = await this.#compute(key, compute, lease)
      if (lease === undefined || !isStorable(value)) return value
      const isCurrent = await this.#store(key, value, lease, options)
      if (isCurrent || computation === maxComputations) return value
    }
  }

  /**
   * Reads the key, gets the lease, or waits for the value that another process computes. Returns undefined if nobody can
   * tell at the moment.
   *
   * The first request does not wait. Requests that wait have connections of their own (`Transport`), because those of a
   * client are limited:
   *
   *   1. Process A computes a hundred keys, and process B computes another hundred.
   *   2. Each of them asks for the keys of the other one. All connections of both have requests that wait.
   *   3. A has computed, and cannot store what B waits for. Neither can B.
   */
  async #ask(key: string, options: ComputeOptions): Promise<LeasedAnswer | undefined> {
    const { waitSeconds = usualWaitSeconds } = options
    try {
      const answer = await this.#request(key, 0, options)
      return answer?.isAwaitable && waitSeconds > 0 ? await this.#request(key, waitSeconds, options) : answer
    } catch (error) {
      if (isOutage(error)) return undefined
      throw error
    }
  }

  async #request(
    key: string,
    waitSeconds: number,
    options: ComputeOptions,
  ): Promise<LeasedAnswer | undefined> {
    const { requests, reads, tokens, liveness } = this.#parts
    if (!liveness.maySend()) return undefined
    const { leaseSeconds = usualLeaseSeconds, groups } = options
    const timeoutMs = (options.timeoutMs ?? this.#parts.timeoutMs) + waitSeconds * 1_000
    const wanted = { leaseSeconds, waitSeconds, groups }
    return liveness.whileAnswering((signal) =>
      reads.kept(key, () => requests.lease(key, tokens.of(key), wanted, { timeoutMs, signal })),
    )
  }

  /** Computes a value. If there is none to store, gives the lease back, so that another process can try. */
  async #compute(key: string, compute: Compute, lease: string | undefined): Promise<unknown> {
    let value: unknown
    try {
      value = await compute()
      return value
    } finally {
      if (lease !== undefined && !isStorable(value)) this.#giveBack(key, lease)
    }
  }

  #giveBack(key: string, lease: string): void {
    // If that fails, the lease ends by itself.
    this.#parts.requests.giveBack(key, lease).catch(() => undefined)
  }

  /**
   * Stores a computed value, unless it is too large. Returns false if the lease has ended: somebody has stored a value
   * meanwhile, or has invalidated the data that this one was computed from. Then the key is read again.
   */
  async #store(key: string, value: Value, lease: string, options: ComputeOptions): Promise<boolean> {
    const { ttlSeconds, groups, timeoutMs } = options
    const { writes, liveness } = this.#parts
    try {
      await liveness.whileAnswering((signal) =>
        writes.set(key, value, { ttlSeconds, groups, timeoutMs, signal }, lease),
      )
      return true
    } catch (error) {
      if (error instanceof CachingLayerError && error.kind === 'lease-ended') return false
      // The value is right all the same. If it was stored, the next call reads it.
      if (isOutage(error)) return true
      // The value cannot be stored, by anybody. Others need not wait for it.
      this.#giveBack(key, lease)
      if (isTooLarge(error)) return true
      throw error
    }
  }
}

/** Returns true if a computed value is to be stored. */
export function isStorable(value: unknown): value is Value {
  return value !== undefined && value !== null
}

/** Returns true for errors in which the application is better off without a cache. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof CachingLayerError)) return false
  return error.retryable || error.kind === 'outcome-unknown' || (error.status ?? 0) >= 500
}

/**
 * Returns true for a value that is only too large to be stored. Values grow with the data of an application, which must
 * not fail on that day. Everything else that the sidecar refuses is a mistake that shows at the first call.
 */
function isTooLarge(error: unknown): boolean {
  return error instanceof CachingLayerError && error.kind === 'body-too-large'
}

/** Resolves like the promise, or rejects with the reason of the signal as soon as it is aborted. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const off = onAbort(signal, () => reject(signal.reason))
    promise.then(resolve, reject).finally(off)
  })
}
