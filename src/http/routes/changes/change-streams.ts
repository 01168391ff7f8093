import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Following } from '../../../core/changes/following.js'
import type { Clock } from '../../../core/ports.js'
import type { UnreadResponses } from '../../server/unread-responses.js'
import { ChangeStream, maxStreamBytes, pieceLength, type Question } from './change-stream.js'
import { EventTexts, event } from './event-texts.js'

export interface ChangeStreamsParts {
  readonly following: Following
  readonly responses: UnreadResponses
  readonly clock: Clock
  /** Bound on staleness. Questions are answered again three times within it, or more often. */
  readonly maxStalenessMs: number
}

export interface StreamRequest {
  /** Beginning of the keys that are wanted. */
  readonly prefix: string
  /** Id of the last event that the client has received; undefined for a new client. */
  readonly lastEventId: string | undefined
  /** Aborted when the client may be gone, which ends its stream. */
  readonly signal: AbortSignal
}

/** Counts of streams of this sidecar. */
export interface StreamCounts {
  readonly open: number
  /** Streams that were closed, because their clients were too slow. */
  readonly cutOff: number
}

/** Minimum time between two writes to all streams, so that many changes in a row are sent together. */
const pauseMs = 10
/** Interval at which streams without a question get a comment, so that proxies keep the connection open. */
const commentMs = 15_000

/** The clients that follow the changes by server-sent events. */
export class ChangeStreams {
  readonly #parts: ChangeStreamsParts
  readonly #texts: EventTexts
  readonly #streams = new Map<string, ChangeStream>()
  #opened = 0
  #writtenMs = Number.NEGATIVE_INFINITY
  #isScheduled = false
  #beats: NodeJS.Timeout | undefined
  #commentedMs = Number.NEGATIVE_INFINITY
  #isClosed = false
  #cutOff = 0

  constructor(parts: ChangeStreamsParts) {
    this.#parts = parts
    const { changeLog } = parts.following
    this.#texts = new EventTexts(randomBytes(9).toString('base64url'), changeLog, pieceLength)
    changeLog.onAdvance = () => this.#schedule()
  }

  get counts(): StreamCounts {
    return { open: this.#streams.size, cutOff: this.#cutOff }
  }

  /** Name of the feed of this process in its present generation. */
  get feed(): string {
    return this.#texts.feed
  }

  /**
   * Sends the changes from now on, and before them those that the client has missed. Returns false if no memory is left
   * for another stream.
   */
  open(response: ServerResponse, { prefix, lastEventId, signal }: StreamRequest): boolean {
    const { following, responses, maxStalenessMs } = this.#parts
    if (!responses.acquire(maxStreamBytes)) return false
    response.once('close', () => responses.release(maxStreamBytes))
    const name = `${this.#texts.process}.${++this.#opened}`
    const stream = new ChangeStream(response, {
      prefix,
      log: following.changeLog,
      texts: this.#texts,
      proofText: (question) => this.#proofText(question),
      onCutOff: () => this.#cutOff++,
    })
    this.#streams.set(name, stream)
    response.once('close', () => this.#gone(name))
    const seen = this.#seen(lastEventId)
    stream.begin(this.#texts.opening(name, maxStalenessMs, seen), seen)
    following.begin()
    this.#beats ??= setInterval(() => this.#beat(), Math.min(maxStalenessMs / 3, commentMs)).unref()
    // Otherwise only the second write after that fails, half a minute later.
    signal.addEventListener('abort', () => stream.end())
    if (this.#isClosed || signal.aborted) stream.end()
    return true
  }

  /**
   * Answers a question on the stream of this name, after everything that was applied before, and again at intervals.
   * Returns false if there is no such stream.
   */
  ask(name: string, text: string): boolean {
    const stream = this.#streams.get(name)
    stream?.ask({ text, askedMs: this.#parts.clock.now() })
    return stream !== undefined
  }

  /** Ends all streams. Their clients connect again, to another sidecar or later. */
  close(): void {
    this.#isClosed = true
    for (const stream of this.#streams.values()) stream.end()
  }

  #gone(name: string): void {
    this.#streams.delete(name)
    this.#parts.following.end()
    if (this.#streams.size > 0) return
    clearInterval(this.#beats)
    this.#beats = undefined
  }

  /** Returns the number of the last change that a client has seen; undefined if it has missed some for good. */
  #seen(lastEventId: string | undefined): number | undefined {
    const { changeLog } = this.#parts.following
    if (lastEventId === undefined) return changeLog.last
    const number = this.#texts.numberOf(lastEventId)
    return number !== undefined && changeLog.has(number) ? number : undefined
  }

  #schedule(): void {
    if (this.#isScheduled || this.#streams.size === 0) return
    this.#isScheduled = true
    const { clock } = this.#parts
    const waitMs = this.#writtenMs + pauseMs - clock.now()
    if (waitMs > 0) setTimeout(() => this.#advance(), waitMs).unref()
    else clock.defer(() => this.#advance())
  }

  #advance(): void {
    this.#isScheduled = false
    this.#writtenMs = this.#parts.clock.now()
    for (const stream of this.#streams.values()) stream.advance()
  }

  #beat(): void {
    const nowMs = this.#parts.clock.now()
    const isForAll = nowMs - this.#commentedMs >= commentMs
    if (isForAll) this.#commentedMs = nowMs
    for (const stream of this.#streams.values()) if (!stream.prove() && isForAll) stream.comment()
  }

  /**
   * Returns the answer to a question. The client asked at its own time t0. Everything that was acknowledged before the
   * moment t0 + elapsed - age has been written to its stream:
   *
   *   1. The client asks at t0. The question arrives here at t0 or later.
   *   2. `elapsed` later, this answer is written. The client's clock shows t0 + elapsed or more.
   *   3. The last proven moment was `age` before step 2. Everything acknowledged before it had been applied here, and so
   *      was in the log, and so has been written to the stream.
   *
   * Only durations are used, whatever the two clocks show. `elapsed` is rounded down, and `age` up. With the time at
   * which the client receives the answer instead of t0 + elapsed, everything that happens while the answer is on its
   * way would count as delivered.
   */
  #proofText({ text, askedMs }: Question): string {
    const { following, clock } = this.#parts
    const { ageMs, outboxAgeMs } = following.leaseAges()
    return event('proof', {
      question: text,
      elapsed_ms: Math.floor(clock.now() - askedMs),
      age_ms: wholeMs(ageMs),
      outbox_age_ms: wholeMs(outboxAgeMs),
    })
  }
}

function wholeMs(ms: number): number | null {
  return Number.isFinite(ms) ? Math.ceil(ms) : null
}
