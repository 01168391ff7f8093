import type { Change } from '../../core/entry.js'
import type { ChangeFeed, ChangeFeedHandler, FeedSession } from '../../core/ports.js'

export interface ChangeFollowerParts {
  readonly feed: ChangeFeed
  readonly onChange: (change: Change) => void
  /** Called when the feed is lost. From then on, changes may be missed. */
  readonly onLost: (reason: string) => void
  /** Called when changes are received again. */
  readonly onBack: () => void
}

/** Receives every change from start() to close(), in commit order, and reports when it may have missed some. */
export class ChangeFollower {
  readonly #parts: ChangeFollowerParts
  #session: FeedSession | undefined
  /** Error that ended the latest session, or prevented it. */
  #failure: unknown

  constructor(parts: ChangeFollowerParts) {
    this.#parts = parts
  }

  /** Starts. Rejects if changes cannot be received. After a later loss, the feed reconnects. */
  async start(): Promise<void> {
    await this.#parts.feed.start(this.#handler())
    if (this.#session) return
    await this.close()
    throw this.#failure
  }

  /** Stops. Nothing is called afterwards. Idempotent. */
  close(): Promise<void> {
    return this.#parts.feed.close()
  }

  /**
   * Resolves when every change that was visible in the database at the time of the call has been received. Rejects if
   * that cannot be shown.
   */
  async caughtUp(): Promise<void> {
    if (this.#session === undefined) throw new Error('no change feed')
    await this.#session.roundTrip()
  }

  #handler(): ChangeFeedHandler {
    const { onChange, onLost, onBack } = this.#parts
    return {
      bound: () => undefined,
      listening: async (_asOfMs, session) => {
        this.#session = session
        if (this.#failure !== undefined) onBack()
      },
      changed: (change) => {
        // Changes that arrive before the session has been checked are ignored. Nobody counts on them.
        if (this.#session) onChange(change)
        return undefined
      },
      lost: (reason, _shownReason, cause) => {
        const wasLive = this.#session !== undefined
        this.#session = undefined
        this.#failure = cause ?? new Error(reason)
        if (wasLive) onLost(reason)
      },
      proven: () => undefined,
      rest: () => undefined,
    }
  }
}
