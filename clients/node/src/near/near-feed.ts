import type { Clock } from '../../../../src/core/ports.js'
import { followChanges } from '../changes/follow-changes.js'
import type { Transport } from '../http/transport.js'
import type { NearCache, StreamProof } from './near-cache.js'

export interface NearFeedParts {
  readonly near: NearCache
  readonly transport: Transport
  readonly clock: Clock
}

/**
 * Interval at which the stream is asked anew. The answers to one question count the time by the clock of the sidecar.
 * Two clocks drift apart by up to 0.1 ms per second, and one of them may be set.
 */
const askAgainMs = 10_000
/** Time limit of a question. That of the client may be without end, or too short for anything but a hit. */
const askTimeoutMs = 2_000
/** Longest pause after a question that no sidecar has taken. The actual pause is random. */
const askRetryMs = 300
/** Number of questions whose answers are still accepted. */
const rememberedQuestions = 8

/** Brings the stream of changes to the near cache, and asks for its proofs (P19). */
export class NearFeed {
  readonly #parts: NearFeedParts
  readonly #closing = new AbortController()
  /** Times at which questions were sent, by their names, oldest first. */
  readonly #askedMs = new Map<string, number>()
  #questions = 0
  #stream: string | undefined
  #timer: NodeJS.Timeout | undefined
  #isAsking = false

  constructor(parts: NearFeedParts) {
    this.#parts = parts
    void this.#follow()
  }

  close(): void {
    this.#closing.abort()
    clearTimeout(this.#timer)
    this.#parts.near.end()
  }

  async #follow(): Promise<void> {
    const { near, transport } = this.#parts
    const { signal } = this.#closing
    for await (const event of followChanges({ transport, prefix: '', signal, keepsAlive: false })) {
      // Events that had arrived before.
      if (signal.aborted) return
      if (event.kind === 'open') {
        near.opened(event.feed, event.maxStalenessMs, event.isContinued)
        this.#stream = event.stream
        this.#askedMs.clear()
        void this.#ask()
      } else if (event.kind === 'change') near.changed(event.key ?? `\0${event.keyHash}`, event.version)
      else if (event.kind === 'gap') near.gap(event.feed)
      else if (event.kind === 'proof') this.#answered(event.question, event)
      else {
        near.lost()
        this.#stream = undefined
      }
    }
    near.lost()
  }

  #answered(question: string, durations: Omit<StreamProof, 'askedMs'>): void {
    const askedMs = this.#askedMs.get(question)
    if (askedMs !== undefined && !this.#parts.near.proven({ askedMs, ...durations })) void this.#ask()
  }

  /**
   * Asks the stream. Behind a balancer, the question may come to another sidecar, which does not have the stream: so it
   * is asked on a new connection, until one leads to the right sidecar.
   */
  async #ask(): Promise<void> {
    const { transport, clock } = this.#parts
    const stream = this.#stream
    if (stream === undefined || this.#isAsking || this.#closing.signal.aborted) return
    this.#isAsking = true
    const question = String(++this.#questions)
    // Before it is sent, and so before it can have arrived.
    this.#askedMs.set(question, clock.now())
    for (const oldest of this.#askedMs.keys()) {
      if (this.#askedMs.size <= rememberedQuestions) break
      this.#askedMs.delete(oldest)
    }
    const isTaken = await transport
      .request(
        {
          method: 'POST',
          path: '/v1/changes:prove',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ stream, question }),
          isRead: true,
          isOnNewConnection: true,
        },
        { timeoutMs: askTimeoutMs },
      )
      .then(
        () => true,
        () => false,
      )
    this.#isAsking = false
    clearTimeout(this.#timer)
    const waitMs = isTaken && stream === this.#stream ? askAgainMs : Math.random() * askRetryMs
    this.#timer = setTimeout(() => void this.#ask(), waitMs).unref()
    if (this.#closing.signal.aborted) clearTimeout(this.#timer)
  }
}
