import type { Change } from '../../src/core/entry.js'
import type { ChangeFeedHandler, Clock } from '../../src/core/ports.js'
import type { ModelStore } from './model-store.js'

export interface ModelFeedParts {
  readonly store: ModelStore
  readonly clock: Clock
  readonly handler: ChangeFeedHandler
}

/** The listening session of one sidecar. The test decides when changes arrive. They arrive in the order of sending. */
export class ModelFeed {
  readonly #parts: ModelFeedParts
  /** Changes, and answers to probes. */
  #onItsWay: (() => void)[] = []
  #cut: (() => void) | undefined

  constructor(parts: ModelFeedParts) {
    this.#parts = parts
  }

  /** LISTEN is acknowledged now. Resolves when the cache has caught up. */
  connect(): Promise<void> {
    const { store, clock, handler } = this.#parts
    this.cut()
    this.#onItsWay = []
    this.#cut = store.onChange((change) => this.#onItsWay.push(() => this.#arrived(change)))
    const { fingerprint } = store.now()
    return handler.listening(clock.now(), {
      fingerprint,
      roundTrip: async () => 0,
      end: (reason) => this.lose(reason),
    })
  }

  /** Delivers everything that is on its way, or the first `count` changes. */
  deliver(count = this.#onItsWay.length): void {
    for (const arrive of this.#onItsWay.splice(0, count)) arrive()
  }

  /**
   * A probe is sent and the server answers it, now: after every change committed so far. Returns the arrival
   * of its answer, and of what is before it. A drain of the outbox that was sent at `drainedMs` has been answered.
   */
  probe(drainedMs?: number): () => void {
    const { store, clock, handler } = this.#parts
    const sentMs = clock.now()
    const proof = { ...store.now(), drainedMs }
    const answer = () => {
      try {
        handler.proven(sentMs, proof)?.catch((error: Error) => this.lose(error.message))
      } catch (error) {
        this.lose((error as Error).message)
      }
    }
    if (this.#cut) this.#onItsWay.push(answer)
    return () => this.deliver(this.#onItsWay.indexOf(answer) + 1)
  }

  /** Loses all later changes, unnoticed. */
  cut(): void {
    this.#cut?.()
    this.#cut = undefined
  }

  /** Between two probes. The session stays, unless the test cuts it. Undefined if the cache is in use. */
  rest(): Promise<void> | undefined {
    return this.#parts.handler.rest()
  }

  lose(reason = 'the test says so'): void {
    this.cut()
    this.#onItsWay = []
    this.#parts.handler.lost(reason)
  }

  /** Applies a change. After a failure only a new session recovers, as in the feed itself. */
  #arrived(change: Change): void {
    this.#parts.handler.changed(change)?.catch((error: Error) => this.lose(error.message))
  }
}
