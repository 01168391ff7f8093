import { setTimeout as sleep } from 'node:timers/promises'
import type { Epoch, Version, Withheld } from '../../core/entry.js'
import type { Clock, Log, LogPosition, Replica, ReplicaAnswer, Wanted } from '../../core/ports.js'
import type { Database } from '../pool/database.js'
import { messageOf } from '../pool/errors.js'
import type { SchemaName } from '../schema/schema-name.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn, historyIn } from '../schema/table.js'
import { type EntryRow, entryOf, wantedColumns } from '../store/entry-row.js'
import { isHeld, withinBytes } from '../store/entry-statements.js'

export interface ReadReplicasParts {
  readonly primary: Database
  /** One per URL, at least one. */
  readonly replicas: readonly Database[]
  readonly schema: Pick<SchemaName, 'get'>
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  /** Most bytes of values that one statement may bring. */
  readonly maxReadBytes: number
}

/** A server and how much of the primary's log it has replayed. */
interface StandbyRow {
  readonly server: string
  /** Null where it is no standby. */
  readonly epoch: Epoch | null
  readonly replayed: string | null
}

type WantedRow = StandbyRow & {
  readonly key: string
  readonly version: Version | null
  readonly content_type: string | null
  readonly value: string | null
  readonly withheld: Withheld['withheld'] | null
  readonly expires: boolean | null
}

/** How long a replica may take to replay what was in the log when that was asked. */
const catchUpMs = 5_000
const firstPauseMs = 5
const longestPauseMs = 250
/** Behind one URL there may be several servers. */
const mostServers = 16

/**
 * The start time and the receiver of the log tell one run of one server from all others: behind a pooler or a load
 * balancer, or after a restart or a crash, the next statement may be answered by somebody who is further behind. A standby
 * does not tell its timeline as the primary does; what it last wrote down of it may be old, but is none that it never had.
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

/** Streaming standbys of the primary. One at a time is read from: the next one when it fails or is too far behind. */
export class ReadReplicas implements Replica {
  readonly #parts: ReadReplicasParts
  readonly #closing = new AbortController()
  /** How far each server was when it was last looked at. It only goes on while it runs. */
  readonly #replayed = new Map<string, bigint>()
  /** A fleet starts at different ones. */
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
   * What counts is how far the server was *before* this statement: its snapshot is older than anything that it
   * can say of itself. A row that expires is left to the primary, whose clock decides.
   */
  async read(wanted: readonly Wanted[], position: LogPosition): Promise<ReadonlyMap<string, ReplicaAnswer>> {
    const replayedBefore = new Map(this.#replayed)
    const schema = await this.#parts.schema.get()
    const rows = await this.#database.read<WantedRow>(
      withinBytes(
        `select server, epoch, replayed, key, version, content_type, value, expires_at is not null as expires,
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
        throw new Error('another server than the one that had replayed enough, or one that was started anew')
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

  /** Not the position that is written or flushed: a commit may be seen before it is. */
  async #primaryPosition(): Promise<LogPosition> {
    const [row] = await this.#parts.primary.read<{ epoch: Epoch; bytes: string }>(
      `select ${epochIn(await this.#parts.schema.get())} as epoch, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::text as bytes`,
    )
    if (row === undefined) throw new Error('the primary answered no row')
    return { epoch: row.epoch, bytes: BigInt(row.bytes) }
  }

  async #untilReplayed(position: LogPosition): Promise<void> {
    const { clock } = this.#parts
    const lateMs = clock.now() + catchUpMs
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const [row] = await this.#database.read<StandbyRow>(
        `select * from ${standby(await this.#parts.schema.get())}`,
      )
      if (row === undefined) throw new Error('the replica answered no row')
      if (row.epoch === null) throw new Error('DATABASE_READ_URL leads to a server that is no standby')
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

  /** Whether it has the primary's history. */
  #observe({ server, epoch, replayed }: StandbyRow, position: LogPosition): boolean {
    if (epoch !== position.epoch || replayed === null) return false
    if (this.#replayed.size >= mostServers && !this.#replayed.has(server)) this.#replayed.clear()
    this.#replayed.set(server, BigInt(replayed))
    return true
  }

  /** Says it once when it changes. */
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
