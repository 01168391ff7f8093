import { PostgresChangeFeed } from '../../postgres/feed/feed.js'
import { Database } from '../../postgres/pool/database.js'
import { messageOf } from '../../postgres/pool/errors.js'
import { SchemaName } from '../../postgres/schema/schema-name.js'
import { systemClock } from './audit-clock.js'
import { ChangeFollower } from './change-follower.js'
import { type Checkpoint, checkpointsUpTo } from './checkpoints.js'
import { readPrimary } from './primary.js'
import type { Sample } from './sample.js'
import { Sampler } from './sampler.js'
import { SidecarClient } from './sidecar-client.js'
import { AuditTally, type Report } from './tally.js'
import type { Verdict } from './verdict.js'
import { type Violation, violationsAmong } from './violation.js'

export interface AuditOptions {
  /** URLs of the sidecars, such as `http://127.0.0.1:8025`, without duplicates. */
  readonly urls: readonly string[]
  /** Share of the changes that is followed, from 0 to 1. */
  readonly sampleRate: number
  readonly databaseUrl: string
  readonly databaseListenUrl: string
  readonly databasePoolSize: number
  readonly databaseTimeoutMs: number
  /** L, the staleness bound of the sidecars. */
  readonly maxStalenessMs: number
  /** API token of the sidecars, if they require one. */
  readonly apiToken?: string | undefined
}

export interface AuditEvents {
  readonly onViolation: (violation: Violation) => void
  /** Called with one line for people. */
  readonly onNote: (line: string) => void
}

const maxUnderWay = 100
const askTimeoutMs = 2_000
/** Any key will do to find out if a sidecar answers. */
const firstKey = 'caching-layer audit'
/** Staleness bound of the audit's own feed, which gives up a connection that is silent for half of it. */
const feedStalenessMs = 6_000
const silent = { info: () => undefined, warn: () => undefined }

/**
 * Follows some of the changes of a live fleet, and asks every sidecar what it would serve, 100 ms, 1 s and L after each
 * of these changes. Writes nothing, and makes no sidecar read anything.
 *
 *   ChangeFollower -> Sampler -> Sample -> SidecarClient, judge (-> primary, ChangeFollower) -> Tally
 */
export class Audit {
  readonly #options: AuditOptions
  readonly #events: AuditEvents
  readonly #tally: AuditTally
  readonly #database: Database
  readonly #clients: readonly SidecarClient[]
  readonly #sampler: Sampler
  readonly #follower: ChangeFollower
  #startedMs = performance.now()
  #closing: Promise<void> | undefined

  constructor(options: AuditOptions, events: AuditEvents) {
    this.#options = options
    this.#events = events
    const checkpoints = checkpointsUpTo(options.maxStalenessMs)
    this.#tally = new AuditTally(options.urls, checkpoints)
    this.#database = new Database({
      url: options.databaseUrl,
      poolSize: options.databasePoolSize,
      timeoutMs: options.databaseTimeoutMs,
      log: { info: () => undefined, warn: (_fields, message) => events.onNote(message) },
    })
    this.#clients = options.urls.map(
      (url) =>
        new SidecarClient({
          url,
          timeoutMs: askTimeoutMs,
          apiToken: options.apiToken,
          onSilent: (reason) => events.onNote(`${url} gives no usable answer: ${reason}`),
        }),
    )
    const schema = new SchemaName(this.#database)
    this.#sampler = new Sampler(
      { rate: options.sampleRate, maxUnderWay },
      {
        clock: systemClock,
        checkpoints,
        tally: this.#tally,
        random: Math.random,
        ask: (key) => Promise.all(this.#clients.map((client) => client.ask(key))),
        readPrimary: (key) => {
          this.#tally.primaryReads++
          return readPrimary(this.#database, schema, key)
        },
        caughtUp: () => this.#follower.caughtUp(),
        onAnswers: (answers) => this.#tally.answered(answers),
        onVerdict: (sample, checkpoint, verdict) => this.#judged(sample, checkpoint, verdict),
      },
    )
    this.#follower = new ChangeFollower({
      feed: new PostgresChangeFeed(
        { url: options.databaseListenUrl, maxStalenessMs: feedStalenessMs, whenIdle: 'listen' },
        // The follower reports losses.
        { database: this.#database, clock: systemClock, log: silent },
      ),
      onChange: (change) => this.#sampler.changed(change),
      onLost: (reason) => {
        this.#tally.feedLosses++
        this.#sampler.lost()
        events.onNote(`the change feed was lost, trying again: ${reason}`)
      },
      onBack: () => events.onNote('the change feed is back'),
    })
  }

  /** Starts the audit. Rejects with an Error of one line if changes cannot be received. */
  async start(): Promise<void> {
    try {
      await this.#follower.start()
    } catch (error) {
      throw new Error(`cannot receive changes: ${messageOf(error)}`, { cause: error })
    }
    this.#startedMs = performance.now()
  }

  /**
   * Asks every sidecar once, whether anything changes or not, and returns the URLs of those that gave no usable answer.
   * The answers are not part of the report.
   */
  async silentSidecars(): Promise<readonly string[]> {
    const asked = await Promise.all(this.#clients.map((client) => client.ask(firstKey)))
    return asked.flatMap(({ sidecar, answer }) => (answer.kind === 'none' ? [sidecar] : []))
  }

  get underWay(): number {
    return this.#sampler.underWay
  }

  /** Returns the result so far. */
  report(): Report {
    return this.#tally.report(performance.now() - this.#startedMs)
  }

  /** Sends no more questions, and resolves when the answers to earlier ones are judged. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#sampler.close()
    await this.#follower.close()
    for (const client of this.#clients) client.close()
    await this.#database.close()
  }

  #judged(sample: Sample, checkpoint: Checkpoint, verdict: Verdict): void {
    this.#tally.judged(checkpoint, verdict)
    if (verdict.kind !== 'inconsistent') return
    for (const violation of violationsAmong(verdict.suspects, sample, this.#options.maxStalenessMs)) {
      this.#tally.violated(violation)
      this.#events.onViolation(violation)
    }
  }
}
