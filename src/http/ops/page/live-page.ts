import type { IncomingMessage, ServerResponse } from 'node:http'
import { hostname } from 'node:os'
import type { FeedTransition } from '../../../core/feed/feed-log.js'
import type { Readiness } from '../../../core/state/readiness.js'
import type { BearerToken } from '../../access/bearer-token.js'
import { ChangeTail, type ChangeTailSources } from './change-tail.js'
import { cures } from './cures.js'
import { maySeeKeys } from './page-access.js'
import type { Changes, FeedEvent, Overview, Row } from './page-data.js'
import { PageStreams } from './page-streams.js'
import { SampleRing } from './sample-ring.js'
import { Sampler, type SampleSources, sampleColumns } from './sampler.js'

export interface LivePageSources extends SampleSources, ChangeTailSources {
  readonly version: string
  readonly readiness: () => Readiness
  /** Returns the limits in force. */
  readonly limits: () => { readonly capacity: number; readonly maxStalenessMs: number }
  readonly feedTransitions: () => readonly FeedTransition[]
  readonly token: BearerToken | undefined
  /** True if clients with the token may change keys. */
  readonly hasWrites: boolean
}

const sampleIntervalMs = 2_000
const historyMs = 15 * 60_000
/** Interval at which changes are sent to pages. */
const changesIntervalMs = 500
/** Number of changes that are sent at once. */
const maxChangesAtOnce = 50

/**
 * Keeps the data of the page: samples of the last 15 minutes, the last changes, and the history of the feed; and sends
 * what is new to the open pages. Between two ticks of its timers, it costs nothing.
 */
export class LivePage {
  readonly #sources: LivePageSources
  readonly #sampler: Sampler
  readonly #history = new SampleRing(sampleColumns.length, historyMs / sampleIntervalMs)
  readonly #tail: ChangeTail
  readonly #pages = new PageStreams()
  readonly #startedMs: number
  /** Number of the last change of the feed's state that was sent. */
  #feedSent = 0
  #timers: readonly NodeJS.Timeout[] = []

  constructor(sources: LivePageSources) {
    this.#sources = sources
    this.#sampler = new Sampler(sources)
    this.#tail = new ChangeTail(sources)
    this.#startedMs = sources.clock.now()
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#sample(), sampleIntervalMs).unref(),
      setInterval(() => {
        if (this.#pages.areChangesShown) this.#advance()
      }, changesIntervalMs).unref(),
    ]
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#pages.close()
  }

  get isFull(): boolean {
    return this.#pages.isFull
  }

  /** Sends the page's data, and from then on what is new. */
  open(request: IncomingMessage, response: ServerResponse): void {
    const { version, token, keys, hasWrites } = this.#sources
    const seesKeys = maySeeKeys(request, token)
    // Sends what is new to the other pages first.
    this.#advance()
    this.#pages.open(response, {
      version,
      host: hostname(),
      sampleIntervalMs,
      columns: sampleColumns,
      history: this.#history.rows(),
      overview: this.#overview(),
      feed: this.#sources.feedTransitions().map(inUnixTime(this.#sources.clock.now())),
      changes: { rows: seesKeys ? this.#tail.rows : [], skipped: 0 },
      keys: seesKeys ? keys : 'refused',
      needsToken: token !== undefined,
      mayWrite: seesKeys && hasWrites,
    })
  }

  #sample(): void {
    const sample: Row = this.#sampler.sample(Date.now())
    this.#history.push(sample)
    this.#pages.send('sample', { sample, overview: this.#overview() })
    this.#advance()
  }

  /** Sends changes of entries, and of the feed's state. */
  #advance(): void {
    const { feedTransitions, clock } = this.#sources
    const changes = this.#tail.advance(Date.now())
    if (changes.rows.length > 0) this.#pages.send('changes', lastOf(changes))
    const transitions = feedTransitions().filter(({ number }) => number > this.#feedSent)
    this.#feedSent = transitions.at(-1)?.number ?? this.#feedSent
    if (transitions.length > 0) this.#pages.send('feed', transitions.map(inUnixTime(clock.now())))
  }

  #overview(): Overview {
    const { status, readiness, limits, memory, clock } = this.#sources
    const { status: verdict, reasons } = readiness()
    const { feed, leaseAgeMs, size, pendingWrites } = status()
    const { capacity, maxStalenessMs } = limits()
    return {
      upMs: clock.now() - this.#startedMs,
      status: verdict,
      reasons: reasons.map(({ cause, text }) => ({ text, cure: cures[cause] })),
      feed,
      leaseAgeMs: Number.isFinite(leaseAgeMs) ? Math.round(leaseAgeMs) : null,
      maxStalenessMs,
      entries: size,
      capacity,
      pendingWrites,
      memory: memory(),
    }
  }
}

function lastOf({ rows, skipped }: Changes): Changes {
  const last = rows.slice(-maxChangesAtOnce)
  return { rows: last, skipped: skipped + rows.length - last.length }
}

/** Returns a function that turns the monotonic time of a change of the feed's state into a Unix time. */
function inUnixTime(nowMs: number): (transition: FeedTransition) => FeedEvent {
  const offsetMs = Date.now() - nowMs
  return ({ number: _, atMs, ...rest }) => ({ ...rest, atMs: Math.round(atMs + offsetMs) })
}
