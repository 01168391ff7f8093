import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../../core/errors.js'
import type { Clock, Log } from '../../core/ports.js'
import type { Database } from '../pool/database.js'
import { messageOf } from '../pool/errors.js'
import { toleratedErrors } from '../pool/tolerated-errors.js'
import type { SchemaName } from '../schema/schema-name.js'
import { SteadyClock } from './steady-clock.js'
import {
  type ObstacleRow,
  rowsPerSweep,
  type SweepRow,
  sweepObstacle,
  sweepStatement,
} from './sweep-statement.js'

export interface SweeperOptions {
  /** Time between two sweeps, in ms; 0 for no sweeps. */
  readonly intervalMs: number
  /** L: time after which another sidecar has noticed a jump of the database's clock, or serves nothing as fresh. */
  readonly maxStalenessMs: number
}

export interface SweeperParts {
  readonly database: Pick<Database, 'read' | 'write'>
  readonly schema: SchemaName
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  /** Returns true if a sweep may be made now: the database is in use, and is the primary. */
  readonly mayRun: () => boolean
}

/** Shortest pause between two statements. */
const shortestPauseMs = 50
/** Pause after a statement, in multiples of the time that it took: a busy server gets more time for others. */
const pausePerStatement = 4

/**
 * Removes rows that have expired, from time to time, in small batches. Each batch is a statement and a transaction of
 * its own, on a connection of the pool, with a pause after it. All sidecars try; the statement gives one of them the
 * turn.
 */
export class Sweeper {
  readonly #parts: SweeperParts
  readonly #name = randomUUID()
  readonly #steadyClock: SteadyClock
  readonly #closing = new AbortController()
  #options: SweeperOptions
  #restart = new AbortController()
  #running: Promise<void> | undefined
  #removedRows = 0
  #lastObstacle = ''

  constructor(options: SweeperOptions, parts: SweeperParts) {
    this.#options = options
    this.#parts = parts
    this.#steadyClock = new SteadyClock(options.maxStalenessMs)
  }

  /** Number of rows that this sidecar has removed. */
  get removedRows(): number {
    return this.#removedRows
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Changes the time between two sweeps. The current pause begins anew. */
  reconfigure({ intervalMs }: Pick<SweeperOptions, 'intervalMs'>): void {
    if (intervalMs === this.#options.intervalMs) return
    this.#options = { ...this.#options, intervalMs }
    this.#restart.abort()
  }

  /** Stops after the statement in flight. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#restart.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      this.#restart = new AbortController()
      const isOver = await this.#pause(this.#waitMs, this.#restart.signal)
      if (isOver && this.#parts.mayRun()) await this.#sweep()
    }
  }

  /**
   * Returns the time until the next sweep, at random around the interval, so that sidecars do not sweep together. Until
   * the database's clock is confirmed, the time until it can be.
   */
  get #waitMs(): number {
    const { intervalMs, maxStalenessMs } = this.#options
    if (intervalMs === 0) return longestSleepMs
    const isConfirmed = Number.isFinite(this.#steadyClock.nowMs(this.#parts.clock.now()))
    const waitMs = isConfirmed ? intervalMs : Math.min(intervalMs, maxStalenessMs)
    return Math.min(longestSleepMs, waitMs * (0.8 + 0.4 * Math.random()))
  }

  /** Returns false if the pause was interrupted. */
  async #pause(ms: number, signal: AbortSignal): Promise<boolean> {
    return sleep(ms, true, { signal, ref: false }).catch(() => false)
  }

  /** Removes batches until no more rows have expired, or another sidecar has the turn. */
  async #sweep(): Promise<void> {
    const { clock, mayRun } = this.#parts
    let from = Number.NEGATIVE_INFINITY
    try {
      const { obstacle, is_read_only: isReadOnly } = await this.#obstacle()
      if (isReadOnly) return
      if (obstacle !== null) return this.#stopped(obstacle)
      for (;;) {
        const sinceMs = clock.now()
        const row = await this.#batch(from)
        this.#lastObstacle = ''
        this.#removedRows += row.removed
        if (!row.is_ours || row.removed < rowsPerSweep || row.last === null) return
        from = row.last
        const pauseMs = Math.max(shortestPauseMs, pausePerStatement * (clock.now() - sinceMs))
        const isOver = await this.#pause(pauseMs, this.#closing.signal)
        if (!isOver || !mayRun()) return
      }
    } catch (error) {
      if (!hasCode(error, ...toleratedErrors)) this.#stopped(messageOf(error))
    }
  }

  async #obstacle(): Promise<ObstacleRow> {
    const { database, schema } = this.#parts
    const [row] = await database.read<ObstacleRow>(sweepObstacle(await schema.get()))
    if (row === undefined) throw new Error('the query for obstacles returned no row')
    return row
  }

  async #batch(from: number): Promise<SweepRow> {
    const { database, schema, clock } = this.#parts
    const steadySeconds = this.#steadyClock.nowMs(clock.now()) / 1_000
    const text = sweepStatement(await schema.get())
    const [row] = await database.write<SweepRow>(text, [this.#name, steadySeconds, from])
    if (row === undefined) throw new Error('the sweep returned no row')
    if (from === Number.NEGATIVE_INFINITY) this.#steadyClock.read(row.database_ms, clock.now())
    return row
  }

  /** Logs what an operator has to repair, once. */
  #stopped(obstacle: string): void {
    if (obstacle !== this.#lastObstacle)
      this.#parts.log.warn({ reason: obstacle }, 'this sidecar cannot remove expired rows')
    this.#lastObstacle = obstacle
  }
}

/** Longest time that a timer of Node can wait. */
const longestSleepMs = 2 ** 31 - 1
