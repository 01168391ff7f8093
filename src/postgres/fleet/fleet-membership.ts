import { randomUUID } from 'node:crypto'
import { hasCode } from '../../core/errors.js'
import type { Clock, Log } from '../../core/ports.js'
import type { Fleet, FleetMember, MemberState } from '../../core/state/fleet-member.js'
import type { Database } from '../pool/database.js'
import { messageOf } from '../pool/errors.js'
import { toleratedErrors } from '../pool/tolerated-errors.js'
import type { SchemaName } from '../schema/schema-name.js'
import {
  fleetObstacle,
  fleetQuery,
  heartbeatStatement,
  idleKeptSeconds,
  leaveStatement,
  type MemberRow,
  type ObstacleRow,
} from './fleet-statements.js'

export interface FleetMembershipOptions {
  /** Least time between two heartbeats, in ms; 0 to send none. */
  readonly intervalMs: number
}

export interface FleetMembershipParts {
  readonly database: Pick<Database, 'read' | 'write'>
  readonly schema: SchemaName
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  /** Returns the state to announce. */
  readonly self: () => MemberState
  /** Returns the status alone. A heartbeat is due at once when it is another one. */
  readonly status: () => MemberState['status']
  /** Returns the time until this sidecar is idle if there is no request; `Infinity` if it never is. */
  readonly idleInMs: () => number
  /** Returns true while this sidecar is idle. It must not open a connection then. */
  readonly isIdle: () => boolean
}

/** Longest time between two looks at whether a heartbeat is due. A look costs nothing. */
const longestLookMs = 5_000
/** Part of the interval by which a heartbeat may be later, at random, so that sidecars do not send together. */
const spread = 0.1
/** Time after the next heartbeat at which a sidecar is silent, in seconds, and time for which its row is kept. */
const lateSeconds = 10
const keptIntervals = 6
const leastKeptSeconds = 60
/** Time for which a list is answered again. */
const listKeptMs = 2_000

/**
 * Makes this sidecar known to the fleet by heartbeats: statements that write its row. And reads the rows of all. While
 * the sidecar is idle, it does neither. The last heartbeat before that tells the others.
 */
export class FleetMembership {
  readonly #parts: FleetMembershipParts
  readonly #sidecar = randomUUID()
  #options: FleetMembershipOptions
  #isStarted = false
  #timer: NodeJS.Timeout | undefined
  #dueMs = Number.NEGATIVE_INFINITY
  /** Status of the last heartbeat; undefined before the first one. */
  #announced: MemberState['status'] | undefined
  #sending: Promise<void> | undefined
  #isMember = false
  /** True once the statements are known to be possible. An error makes it false. */
  #isPossible = false
  #lastObstacle = ''
  #members: readonly FleetMember[] = []
  #listing: { readonly atMs: number; readonly fleet: Promise<Fleet> } | undefined

  constructor(options: FleetMembershipOptions, parts: FleetMembershipParts) {
    this.#options = options
    this.#parts = parts
  }

  start(): void {
    const { intervalMs } = this.#options
    this.#isStarted = true
    if (intervalMs === 0) return
    this.#look()
    this.#timer = setInterval(() => this.#look(), Math.min(longestLookMs, intervalMs)).unref()
  }

  /** Changes the interval. The next heartbeat is due at once. */
  reconfigure(options: FleetMembershipOptions): void {
    if (options.intervalMs === this.#options.intervalMs) return
    this.#options = options
    clearInterval(this.#timer)
    this.#dueMs = Number.NEGATIVE_INFINITY
    this.#listing = undefined
    if (this.#isStarted) this.start()
  }

  /** Returns the fleet as the database has it, or as it was last seen. Never rejects. */
  fleet(): Promise<Fleet> {
    const { clock, isIdle } = this.#parts
    if (this.#options.intervalMs === 0) return Promise.resolve({ members: [], obstacle: 'off' })
    if (isIdle()) return Promise.resolve({ members: this.#members, obstacle: 'idle' })
    const nowMs = clock.now()
    if (this.#listing === undefined || nowMs - this.#listing.atMs > listKeptMs)
      this.#listing = { atMs: nowMs, fleet: this.#list() }
    return this.#listing.fleet
  }

  /** Removes the row of this sidecar, unless the sidecar is idle. Idempotent. */
  async close(): Promise<void> {
    this.#isStarted = false
    clearInterval(this.#timer)
    await this.#sending
    const { database, schema, isIdle } = this.#parts
    if (!this.#isMember || isIdle()) return
    this.#isMember = false
    // If that fails, the row expires.
    await Promise.resolve(schema.get())
      .then((name) => database.write(leaveStatement(name), [this.#sidecar]))
      .catch(() => undefined)
  }

  /** Sends a heartbeat if one is due, or if the status has changed. */
  #look(): void {
    const { clock, isIdle, status } = this.#parts
    if (this.#sending || isIdle()) return
    const isNews = this.#announced !== undefined && status() !== this.#announced
    if (clock.now() < this.#dueMs && !isNews) return
    this.#dueMs = clock.now() + this.#options.intervalMs * (1 + spread * Math.random())
    this.#sending = this.#send().finally(() => {
      this.#sending = undefined
    })
  }

  async #send(): Promise<void> {
    const { database, schema, self, idleInMs } = this.#parts
    const { intervalMs } = this.#options
    try {
      const name = await schema.get()
      if (!this.#isPossible) {
        const { obstacle, isReadOnly } = await this.#obstacle(name)
        if (obstacle !== null || isReadOnly) return
        this.#isPossible = true
      }
      const intervalSeconds = intervalMs / 1_000
      const mayBeIdle = idleInMs() <= intervalMs * (1 + spread) + longestLookMs
      const state = self()
      this.#announced = state.status
      await database.write(heartbeatStatement(name), [
        this.#sidecar,
        state.version,
        state.host,
        state.address,
        state.pagePort,
        state.upMs / 1_000,
        state.status,
        state.lagMs,
        state.hitRatio,
        state.readsPerSecond,
        state.entries,
        intervalSeconds * (1 + spread) + lateSeconds,
        mayBeIdle,
        mayBeIdle ? idleKeptSeconds : Math.max(leastKeptSeconds, intervalSeconds * keptIntervals),
      ])
      this.#isMember = true
      this.#lastObstacle = ''
    } catch (error) {
      this.#failed(error)
    }
  }

  async #list(): Promise<Fleet> {
    const { database, schema } = this.#parts
    try {
      const name = await schema.get()
      if (!this.#isPossible && (await this.#obstacle(name)).obstacle !== null)
        return { members: [], obstacle: 'failed' }
      const rows = await database.read<MemberRow>(fleetQuery(name))
      this.#members = rows.map((row) => ({ ...row, isSelf: row.sidecar === this.#sidecar }))
      return { members: this.#members, obstacle: undefined }
    } catch (error) {
      this.#failed(error)
      return { members: this.#members, obstacle: 'failed' }
    }
  }

  /** Finds out if the statements are possible, so that none fails in the log of the server every minute. */
  async #obstacle(schemaName: string): Promise<ObstacleRow> {
    const [row] = await this.#parts.database.read<ObstacleRow>(fleetObstacle(schemaName))
    if (row === undefined) throw new Error('the query for obstacles returned no row')
    if (row.obstacle !== null) this.#stopped(row.obstacle)
    return row
  }

  #failed(error: unknown): void {
    this.#isPossible = false
    if (hasCode(error, ...toleratedErrors)) this.#dueMs = this.#parts.clock.now()
    else this.#stopped(messageOf(error))
  }

  /** Logs the reason, once. */
  #stopped(obstacle: string): void {
    if (obstacle !== this.#lastObstacle)
      this.#parts.log.info({ reason: obstacle }, 'this sidecar is not in the list of the fleet')
    this.#lastObstacle = obstacle
  }
}
