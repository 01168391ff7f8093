import type { Cache } from '../core/cache.js'
import type { ChangeFeedHandler, Clock, Log } from '../core/ports.js'
import { type Ended, warm } from '../core/reads/warming.js'
import { errorMessage } from '../errors/error-message.js'
import type { HotKeysKeeper } from './hot-keys-keeper.js'

export interface WarmUpParts {
  /** Source of the keys, for the log. */
  readonly from: string
  /** Returns the keys to read, the most wanted first. */
  readonly keys: () => Promise<readonly string[]>
  readonly timeoutMs: number
  readonly cache: Pick<Cache, 'warm' | 'touch' | 'status'>
  /** Returns the maximum number of entries at this moment. */
  readonly capacity: () => number
  readonly clock: Clock
  readonly log: Log
  /**
   * Keeper of the list of hot keys. It starts after the warm-up: until then, its list is worth more than what is held.
   */
  readonly keeper?: HotKeysKeeper
}

/**
 * Fills memory once, as soon as the cache has caught up for the first time, and for no longer than `timeoutMs`:
 *
 *   waiting -- caught up --> warming -- all keys read, full, failed, or timed out --> over
 *
 * Before the first catch-up no fill may put (P3), so an earlier start would be useless.
 */
export class WarmUp {
  readonly #parts: WarmUpParts
  readonly #stop = new AbortController()
  #isToldToStop = false
  #isOver = false
  #running: Promise<void> | undefined

  constructor(parts: WarmUpParts) {
    this.#parts = parts
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Returns a handler for the feed that passes everything on, and starts the warm-up after the first catch-up. */
  follow(handler: ChangeFeedHandler): ChangeFeedHandler {
    return {
      bound: (bindings) => handler.bound(bindings),
      listening: async (asOfMs, session) => {
        await handler.listening(asOfMs, session)
        const hasCaughtUp = this.#parts.cache.status().leaseAgeMs !== Number.POSITIVE_INFINITY
        if (hasCaughtUp) this.#running ??= this.#run()
      },
      proven: (asOfMs, proof) => handler.proven(asOfMs, proof),
      changed: (change) => handler.changed(change),
      lost: (...reasons) => handler.lost(...reasons),
      rest: () => handler.rest(),
    }
  }

  /** Ends the warm-up, or prevents it from starting. */
  stop(): void {
    this.#isToldToStop = true
    this.#stop.abort()
  }

  /** Writes the list of hot keys, if there is a keeper. Idempotent. */
  async close(): Promise<void> {
    this.stop()
    await this.#running
    await this.#parts.keeper?.close()
  }

  async #run(): Promise<void> {
    const { from, keys, timeoutMs, cache, capacity, clock, log, keeper } = this.#parts
    const timer = setTimeout(() => this.#stop.abort(), timeoutMs).unref()
    const startMs = clock.now()
    try {
      const stop = this.#stop.signal
      const wanted = (await Promise.race([keys(), aborted(stop)])) ?? []
      const { asked, put, ended } = await warm(wanted, { cache, clock, capacity, stop })
      const reason = stop.aborted ? this.#whyStopped() : reasonOf(ended)
      const fields = { from, put, asked, keys: wanted.length, forMs: Math.round(clock.now() - startMs) }
      if (reason === undefined) log.info(fields, 'warm-up completed')
      else log.warn({ ...fields, reason }, 'warm-up incomplete')
    } catch (error) {
      const reason = errorMessage(error)
      log.warn({ from, reason }, 'warm-up failed')
    } finally {
      clearTimeout(timer)
      this.#isOver = true
      if (!this.#isToldToStop) keeper?.start()
    }
  }

  #whyStopped(): string {
    return this.#isToldToStop ? 'the sidecar is shutting down' : 'CACHE_WARM_TIMEOUT_MS has passed'
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

/** Returns why the warm-up is incomplete; undefined if all keys were read, or as many as there is room for. */
function reasonOf(ended: Ended | undefined): string | undefined {
  return ended?.kind === 'failed' ? ended.reason : undefined
}
