import type { FeedSession } from '../ports.js'

/** The session of the change feed that is followed at present, if any. */
export class FollowedSession {
  #session: FeedSession | undefined
  #listeningMs = Number.POSITIVE_INFINITY

  get isOpen(): boolean {
    return this.#session !== undefined
  }

  /** Follows a session from now on. Its LISTEN was acknowledged at `listeningMs`. */
  begin(session: FeedSession, listeningMs: number): void {
    this.#session = session
    this.#listeningMs = listeningMs
  }

  /** Follows no session any more, because it was lost or is not needed. */
  end(): void {
    this.#session = undefined
  }

  is(session: FeedSession): boolean {
    return this.#session === session
  }

  /** Ends the session, because the store, asked at `askedMs`, has answered from another history. */
  foreignHistory(askedMs: number): void {
    // A late answer from before this session says nothing about the present.
    if (askedMs > this.#listeningMs) this.#session?.end('the database answers from another history')
  }
}
