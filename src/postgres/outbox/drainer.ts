import type { KeyPattern } from '../../core/bindings/key-pattern.js'
import type { Clock, Log } from '../../core/ports.js'
import { messageOf } from '../pool/errors.js'
import { type Drained, DrainSession } from './drain-session.js'
import type { DrainedTable } from './drain-statement.js'
import { Pause } from './pause.js'

export interface DrainerOptions {
  readonly url: string
  /** Time between two drains while nothing changes, in ms. */
  readonly intervalMs: number
  /** Time that a drain may take if there are mappings, in ms. */
  readonly limitMs: number
}

export interface DrainerParts {
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  readonly counts: DrainCounts
  /** Returns the pattern of the binding of a mapping; undefined if it is not known. */
  readonly patternOf: (mapping: string) => KeyPattern | undefined
}

/** The cache whose outbox is drained. Without bound queries, there are no mappings, and drains need no limit. */
export type DrainedFor = DrainedTable & { readonly hasMappings: boolean }

/** Statements that have drained the outbox, and the rows that they have announced. */
export interface DrainCounts {
  statements: number
  rows: number
}

/** Time between two drains while rows come. Up to as much again is added at random. */
const fastMs = 20
const pauseAfterFailureMs = 1_000
/** Longest time that a timer of Node can wait. */
const longestPauseMs = 2 ** 31 - 1

/**
 * Drains the outbox as long as a session of the change feed goes on. While rows come, drains follow one another, so
 * that changes are announced soon. The fleet shares this: whoever hears the drain of another sidecar postpones its own.
 * But every sidecar drains at its interval, because only its own drain renews its lease (P17).
 */
export class Drainer {
  readonly #options: DrainerOptions
  readonly #parts: DrainerParts
  #isClosed = false
  #session: DrainSession | undefined
  #table: DrainedFor | undefined
  #last: Drained | undefined
  #dueMs = 0
  /** Those who wait for the next drain, which must not be postponed then. */
  #waiting = new Set<Pause>()
  #pausing: Pause | undefined
  #lastFailure = ''
  /** Mappings that have been too slow. */
  readonly #lateMappings = new Set<string>()

  constructor(options: DrainerOptions, parts: DrainerParts) {
    this.#options = options
    this.#parts = parts
    void this.#run()
  }

  /** The last drain that was answered. */
  get last(): Drained | undefined {
    return this.#last
  }

  /** Drains the outbox of this table from now on; none if undefined. */
  drainFor(table: DrainedFor | undefined): void {
    const { schema, channel, hasMappings } = this.#table ?? {}
    if (table?.schema === schema && table?.channel === channel && table?.hasMappings === hasMappings) return
    this.#table = table
    this.#pausing?.end()
  }

  /** Sends a drain. Resolves when it has been answered, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    if (this.#table === undefined || this.#isClosed) return
    const waiting = new Pause(timeoutMs)
    this.#waiting.add(waiting)
    this.#pausing?.end()
    await waiting.over
    this.#waiting.delete(waiting)
  }

  /** Postpones the next drain, because another sidecar has drained. */
  heard(): void {
    this.#dueMs = Math.max(this.#dueMs, this.#parts.clock.now() + soonMs())
  }

  close(): void {
    this.#isClosed = true
    this.#session?.destroy()
    this.#pausing?.end()
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const table = this.#table
      if (table === undefined) {
        await this.#pause(longestPauseMs)
      } else {
        const reason = await this.#drainFrom(table).then(() => undefined, messageOf)
        if (reason === undefined || this.#isClosed) continue
        if (reason !== this.#lastFailure)
          this.#parts.log.warn(
            { reason },
            'the outbox cannot be drained: bound keys are read from the database',
          )
        this.#lastFailure = reason
        await this.#pause(pauseAfterFailureMs)
      }
    }
  }

  /** Drains until another table, or none, is to be drained. Rejects if the connection is lost. */
  async #drainFrom(table: DrainedFor): Promise<void> {
    const { clock, counts } = this.#parts
    const { url, intervalMs } = this.#options
    const limitMs = table.hasMappings ? this.#options.limitMs : 0
    const isOver = () => this.#table !== table || this.#isClosed
    const onLate = (mapping: string | undefined) => this.#late(mapping)
    const session = await DrainSession.open({ url, table, limitMs, onLate }, clock)
    this.#session = session
    try {
      while (!isOver()) {
        const waiting = this.#waiting
        this.#waiting = new Set()
        const drained = await session.drain()
        this.#last = drained
        this.#lastFailure = ''
        counts.statements++
        counts.rows += drained.rows
        this.#dueMs = clock.now() + (drained.rows > 0 ? soonMs() : intervalMs)
        for (const one of waiting) one.end()
        while (this.#waiting.size === 0 && clock.now() < this.#dueMs && !isOver())
          await this.#pause(this.#dueMs - clock.now())
      }
    } finally {
      session.destroy()
    }
  }

  /** Says which query of a dependency is too slow, once for each of them. */
  #late(mapping: string | undefined): void {
    if (mapping === undefined || this.#lateMappings.has(mapping)) return
    this.#lateMappings.add(mapping)
    this.#parts.log.warn(
      { mapping, pattern: this.#parts.patternOf(mapping)?.text },
      'a query of a dependency is too slow: each change of its table drops all keys of the binding',
    )
  }

  /** Waits for so long, or until something else is to be done. */
  #pause(ms: number): Promise<void> {
    this.#pausing = new Pause(ms)
    return this.#pausing.over
  }
}

function soonMs(): number {
  return fastMs * (1 + Math.random())
}
