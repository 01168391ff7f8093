import { setTimeout as sleep } from 'node:timers/promises'
import type { Epoch, Version, Withheld } from '../../core/entry.js'
import type { Clock, Log, LogPosition, Replica, ReplicaAnswer, Wanted } from '../../core/ports.js'
import type { Database } from '../pool/database.js'
import { messageOf } from '../pool/errors.js'
import { type AttributeRow, storedAttributes } from '../schema/entry-columns.js'
import type { SchemaName } from '../schema/schema-name.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn, historyIn } from '../schema/table-identity.js'
import { type EntryRow, entryOf, wantedColumns } from '../store/entry-row.js'
import { isHeld } from '../store/value-digest.js'
import { withinBytes } from '../store/value-limit.js'

export interface ReadReplicasParts {
  readonly primary: Database
  /** Pools of the replicas, one per URL; at least one. */
  readonly replicas: readonly Database[]
  readonly schema: Pick<SchemaName, 'get'>
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  /** Maximum bytes of values that one statement returns. */
  readonly maxReadBytes: number
}

/** State of a server: its history, and how much of the primary's log it has replayed. */
interface StandbyRow {
  readonly server: string
  /** Null if the server is not a standby. */
  readonly epoch: Epoch | null
  readonly replayed: string | null
}

/** Row of a key; `version` is null if the replica has no entry. */
type WantedRow = StandbyRow &
  AttributeRow & {
    readonly key: string
    readonly version: Version | null
    readonly value: string | null
    readonly withheld: Withheld['withheld'] | null
    readonly expires: boolean | null
  }

/** Time that a replica may take to replay the log up to the position that the primary told. */
const catchUpMs = 5_000
const firstPauseMs = 5
const longestPauseMs = 250
/** Bound on remembered servers: there can be several behind one URL. */
const mostServers = 16

/**
 * Returns SQL for the state of a standby. `server` consists of the start time and the process id of the WAL receiver,
 * and identifies one run of one server: behind a pooler or a load balancer, or after a restart or a crash, the next
 * statement may be answered by a server that is further behind. A standby cannot tell its timeline as a primary does.
 * The timeline that it last recorded may be old, but it is one that the standby has really followed.
 */
const standby = (schema: string) => `(
  select pg_catalog.concat_ws(
           ' ', extract(epoch from pg_postmaster_start_time()), (select pid from pg_stat_wal_receiver)
         ) as server,
         case when pg_is_in_recovery() then ${historyIn(
           schema,
           `upper(lpad(to_hex(greatest(
             (select timeline_id from pg_control_checkpoint()),
             (select min_recovery_end_timeline from pg_control_recovery())
           )), 8, '0'))`,
         )} end as epoch,
         pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::text as replayed
) as standby`

/**
 * Streaming standbys of the primary. Reads use one at a time, and move to the next one if it fails or is too far
 * behind.
 */
export class ReadReplicas implements Replica {
  readonly #parts: ReadReplicasParts
  readonly #closing = new AbortController()
  /** Position that each server had replayed when it was last observed. It only advances during a run of the server. */
  readonly #replayed = new Map<string, bigint>()
  /** Index of the replica in use. Starts at random, so that the sidecars of a fleet spread over the replicas. */
  #current: number
  #lastReason: string | undefined = 'starting'

  constructor(parts: ReadReplicasParts) {
    this.#parts = parts
    this.#current = Math.floor(Math.random() * parts.replicas.length)
  }

  async catchUp(): Promise<LogPosition> {
    const position = await this.#primaryPosition()
    try {
      await this.#untilReplayed(position)
    } catch (error) {
      this.#report(messageOf(error))
      this.#current = (this.#current + 1) % this.#parts.replicas.length
      throw error
    }
    this.#report(undefined)
    return position
  }

  /**
   * Reads from the replica. The position must have been observed *before* this statement, because the snapshot of a
   * statement is older than any position that the statement itself can return. Rows that expire are left out: the
   * primary reads them, because its clock decides.
   */
  async read(wanted: readonly Wanted[], position: LogPosition): Promise<ReadonlyMap<string, ReplicaAnswer>> {
    const replayedBefore = new Map(this.#replayed)
    const schema = await this.#parts.schema.get()
    const rows = await this.#database.read<WantedRow>(
      withinBytes(
        `select server, epoch, replayed, key, version, ${storedAttributes}, value, expires_at is not null as expires,
              expires_at is not null
                or version = held_version and epoch = held_epoch and ${isHeld('cache_entries')} as is_unsent
       from ${standby(schema)},
         unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
           as wanted (key, held_version, held_epoch, held_type, held_digest)
         left join ${quoteIdentifier(schema)}.cache_entries using (key)`,
        'server, epoch, replayed, key, version, expires',
        this.#parts.maxReadBytes,
      ),
      wantedColumns(wanted),
    )
    const answers = new Map<string, ReplicaAnswer>()
    for (const row of rows) {
      if (!this.#observe(row, position) || !has(replayedBefore.get(row.server), position))
        throw new Error('not the server that had replayed enough, or the server was restarted')
      if (row.version === null) answers.set(row.key, { entry: undefined })
      else if (!row.expires)
        answers.set(row.key, { entry: entryOf({ ...row, remaining_ms: null } as EntryRow) })
    }
    return answers
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#parts.replicas.map((database) => database.close()))
  }

  get #database(): Database {
    return this.#parts.replicas[this.#current] as Database
  }

  /**
   * Uses the insert position, not the written or flushed one: a commit may be visible before it is written or flushed.
   */
  async #primaryPosition(): Promise<LogPosition> {
    const [row] = await this.#parts.primary.read<{ epoch: Epoch; bytes: string }>(
      `select ${epochIn(await this.#parts.schema.get())} as epoch,
         pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::text as bytes`,
    )
    if (row === undefined) throw new Error('the primary returned no row')
    return { epoch: row.epoch, bytes: BigInt(row.bytes) }
  }

  async #untilReplayed(position: LogPosition): Promise<void> {
    const { clock } = this.#parts
    const lateMs = clock.now() + catchUpMs
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const [row] = await this.#database.read<StandbyRow>(
        `select * from ${standby(await this.#parts.schema.get())}`,
      )
      if (row === undefined) throw new Error('the replica returned no row')
      if (row.epoch === null) throw new Error('DATABASE_READ_URL leads to a server that is not a standby')
      if (this.#observe(row, position) && has(this.#replayed.get(row.server), position)) return
      if (clock.now() > lateMs) {
        throw new Error(
          row.epoch === position.epoch
            ? `the replica is more than ${catchUpMs / 1_000} s behind`
            : 'the replica follows another history than the primary',
        )
      }
      await sleep(pauseMs, undefined, { signal: this.#closing.signal })
    }
  }

  /** Records the position of the server. Returns false if its history is not the primary's. */
  #observe({ server, epoch, replayed }: StandbyRow, position: LogPosition): boolean {
    if (epoch !== position.epoch || replayed === null) return false
    if (this.#replayed.size >= mostServers && !this.#replayed.has(server)) this.#replayed.clear()
    this.#replayed.set(server, BigInt(replayed))
    return true
  }

  /** Logs the reason why no replica can be used, or that one can be, if that has changed. */
  #report(reason: string | undefined): void {
    if (reason === this.#lastReason || this.#closing.signal.aborted) return
    this.#lastReason = reason
    const { log } = this.#parts
    if (reason === undefined) log.info({}, 'fills are read from a replica')
    else log.info({ reason }, 'fills are read from the primary: no replica can be used')
  }
}

function has(replayed: bigint | undefined, position: LogPosition): boolean {
  return replayed !== undefined && replayed >= position.bytes
}
