import type { Cache } from '../core/cache.js'
import { reasonIn } from '../core/errors.js'
import type { ChangeFeedHandler, Clock, Log } from '../core/ports.js'
import { type Ended, warm } from '../core/reads/warming.js'
import type { HotKeysKeeper } from './hot-keys-keeper.js'

export interface WarmUpParts {
  /** For the log: where the keys come from. */
  readonly from: string
  /** The most wanted first. */
  readonly keys: () => Promise<readonly string[]>
  readonly timeoutMs: number
  readonly cache: Pick<Cache, 'warm' | 'touch' | 'status'>
  /** Most entries that may be held, at this moment. */
  readonly capacity: () => number
  readonly clock: Clock
  readonly log: Log
  /** Begins when the warm-up is over: before that, its list is worth more than what is held. */
  readonly keeper?: HotKeysKeeper
}

/**
 * Fills memory once, as soon as the cache has caught up for the first time, and for no longer than its time:
 *
 *   waiting -- caught up --> warming -- nothing left to do, full, failed, or the time is over --> over
 *
 * Before the first catch-up no fill may put (P3), so there is nothing that it could do.
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

  /** A handler for the feed that passes everything on. */
  follow(handler: ChangeFeedHandler): ChangeFeedHandler {
    return {
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

  /** Nothing is warmed from now on. */
  stop(): void {
    this.#isToldToStop = true
    this.#stop.abort()
  }

  /** Writes the list of hot keys, if one is kept. Idempotent. */
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
      if (reason === undefined) log.info(fields, 'memory is warm')
      else log.warn({ ...fields, reason }, 'memory is not as warm as it should be')
    } catch (error) {
      const reason = reasonIn(error)
      log.warn({ from, reason }, 'memory could not be warmed')
    } finally {
      clearTimeout(timer)
      this.#isOver = true
      if (!this.#isToldToStop) keeper?.start()
    }
  }

  #whyStopped(): string {
    return this.#isToldToStop ? 'told to stop' : 'CACHE_WARM_TIMEOUT_MS is over'
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

/** Undefined for what is as it should be: all that was wanted, or all that there is room for. */
function reasonOf(ended: Ended | undefined): string | undefined {
  return ended?.kind === 'failed' ? ended.reason : undefined
}
