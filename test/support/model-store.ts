import type {
  Change,
  Epoch,
  KeptWrite,
  StoredEntry,
  Unchanged,
  Value,
  Version,
  Written,
} from '../../src/core/entry.js'
import { CacheError, type CacheErrorCode } from '../../src/core/errors.js'
import { keyId } from '../../src/core/key-id.js'
import type {
  Clock,
  LogPosition,
  Position,
  Replica,
  ReplicaAnswer,
  Settlement,
  Store,
  Wanted,
  Write,
} from '../../src/core/ports.js'
import { Gate } from './gate.js'

export type Operation =
  | 'read'
  | 'versions'
  | 'write'
  | 'remove'
  | 'position'
  | 'settle'
  | 'replica position'
  | 'replica read'

/** `before` the statement takes effect; `after` it did, and before its answer is delivered. */
export type Moment = 'before' | 'after'

export interface Statement {
  readonly operation: Operation
  readonly keys: readonly string[]
}

interface Row {
  readonly value: Value
  readonly version: Version
  /** By the database's clock, which the model shares with the test; `Infinity` for a row that stays. */
  readonly expiresAtMs: number
}

type Rows = Map<string, Row>

interface Obstacle {
  readonly operation: Operation
  readonly moment: Moment
  /** Resolves to let the statement pass, throws to fail it. */
  readonly meet: () => Promise<void>
}

/** A copy of all rows at one moment. */
export interface Backup {
  readonly rows: ReadonlyMap<string, Row>
  readonly latest: bigint
  readonly commits: number
}

/**
 * PostgreSQL as the core sees it: rows, versions from one sequence, an epoch, changes announced at commit.
 * Every statement can be held or failed, at either moment, by the test.
 */
export class ModelStore implements Store {
  /** Every statement sent, those that failed too, in their order. */
  readonly statements: Statement[] = []
  readonly #clock: Clock
  #rows: Rows = new Map()
  #latest = 0n
  #epoch: Epoch = '1-00000001'
  #down = false
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #witnesses = new Set<(key: string, value: Value | undefined) => void>()
  readonly #obstacles: Obstacle[] = []
  readonly #refused = new Set<string>()
  readonly #locked = new Set<string>()
  #commits = 0
  /** What the replica had when it stopped; undefined while it has everything. */
  #replica: Backup | undefined
  #untilReplayed: Gate | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  // --- Store ---

  read(wanted: readonly Wanted[]): Promise<Map<string, StoredEntry | Unchanged>> {
    return this.#statement('read', keysOf(wanted), () => this.#entries(this.#rows, wanted))
  }

  versions(keys: readonly string[], epoch: Epoch): Promise<Map<string, Version>> {
    return this.#statement('versions', keys, () => {
      const answer = new Map<string, Version>()
      for (const key of keys) {
        const row = this.#rows.get(key)
        if (row && epoch === this.#epoch) answer.set(key, row.version)
      }
      return answer
    })
  }

  write(writes: readonly Write[]): Promise<Map<string, Written>> {
    const keys = keysOf(writes)
    return this.#statement('write', keys, () => {
      this.#acceptable(keys)
      return new Map(
        writes.map(({ key, value }) => [key, { version: this.setBySql(key, value), epoch: this.#epoch }]),
      )
    })
  }

  remove(keys: readonly string[]): Promise<Map<string, Written>> {
    return this.#statement('remove', keys, () => {
      this.#acceptable(keys)
      const answer = new Map<string, Written>()
      for (const key of keys) {
        const version = this.deleteBySql(key)
        if (version !== undefined) answer.set(key, { version, epoch: this.#epoch })
      }
      return answer
    })
  }

  position(): Promise<Position> {
    return this.#statement('position', [], () => ({ epoch: this.#epoch, latest: this.#latest }))
  }

  settle(writes: readonly KeptWrite[], epoch: Epoch): Promise<Map<string, Settlement>> {
    const keys = keysOf(writes)
    return this.#statement('settle', keys, () => {
      this.#acceptable(keys)
      const answer = new Map<string, Settlement>()
      if (epoch !== this.#epoch) return answer
      for (const { key, value, base, mayHaveHappened } of writes) {
        const row = this.#rows.get(key)
        const unchanged =
          row === undefined
            ? value === undefined || (base.kind === 'unseen' && !mayHaveHappened)
            : base.kind === 'held'
              ? row.version === base.version
              : BigInt(row.version) <= base.latest
        if (!unchanged) continue
        if (value !== undefined) answer.set(key, { kind: 'written', version: this.setBySql(key, value) })
        else {
          this.deleteBySql(key)
          answer.set(key, { kind: 'written', version: undefined })
        }
      }
      return answer
    })
  }

  /** A standby of this store, which replays everything at once unless it is stopped. */
  readonly replica: Replica = {
    catchUp: async () => {
      const position = await this.#statement('replica position', [], () => ({
        epoch: this.#epoch,
        bytes: BigInt(this.#commits),
      }))
      while (!this.#hasReplayed(position)) {
        this.#untilReplayed ??= new Gate()
        await this.#untilReplayed.pass()
      }
      return position
    },
    read: (wanted, position) =>
      this.#statement('replica read', keysOf(wanted), () => {
        if (!this.#hasReplayed(position)) throw new Error('it has not replayed that')
        const rows = this.#replica?.rows ?? this.#rows
        const entries = this.#entries(rows, wanted)
        const answers = new Map<string, ReplicaAnswer>()
        for (const { key } of wanted) {
          const expires = Number.isFinite(rows.get(key)?.expiresAtMs ?? Number.POSITIVE_INFINITY)
          if (!expires) answers.set(key, { entry: entries.get(key) })
        }
        return answers
      }),
  }

  #hasReplayed({ bytes }: LogPosition): boolean {
    return this.#replica === undefined || this.#replica.commits >= bytes
  }

  // --- Changed by somebody else ---

  /** Commits at once. `version` is one from `stamp`, for a transaction that was slow to commit. */
  setBySql(
    key: string,
    value: Value,
    { version = this.stamp(), remainingMs = Number.POSITIVE_INFINITY } = {},
  ): Version {
    this.#commit(key, { value, version, expiresAtMs: this.#clock.now() + remainingMs })
    this.#announce({ kind: 'key', id: keyId(key), version })
    return version
  }

  /** The version of its absence, if it was there. */
  deleteBySql(key: string): Version | undefined {
    const row = this.#rows.get(key)
    if (row === undefined) return undefined
    const version = `-${row.version}`
    this.#commit(key, undefined)
    this.#announce({ kind: 'key', id: keyId(key), version })
    return version
  }

  /** A statement that changes more rows than are worth naming. */
  setManyBySql(entries: Readonly<Record<string, Value>>): void {
    for (const [key, value] of Object.entries(entries)) {
      this.#commit(key, { value, version: this.stamp(), expiresAtMs: Number.POSITIVE_INFINITY })
    }
    this.#announce({ kind: 'everything' })
  }

  /** The next of the sequence. */
  stamp(): Version {
    return String(++this.#latest)
  }

  /** What is committed under this key, as nobody's statement. */
  valueOf(key: string): Value | undefined {
    return this.#rows.get(key)?.value
  }

  versionOf(key: string): Version | undefined {
    return this.#rows.get(key)?.version
  }

  /** Changes, as they commit. Returns how to stop. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Whoever made the change, at the moment it commits: what an onlooker knows. */
  onCommit(witness: (key: string, value: Value | undefined) => void): void {
    this.#witnesses.add(witness)
  }

  // --- Faults ---

  /** Holds the next statement of this kind. */
  hold(operation: Operation, moment: Moment = 'before'): Gate {
    const gate = new Gate()
    this.#obstacles.push({ operation, moment, meet: () => gate.pass() })
    return gate
  }

  /** Fails the next statement of this kind. */
  fail(operation: Operation, code: CacheErrorCode, moment: Moment = 'before'): void {
    const meet = async () => {
      throw new CacheError(code, 'the test says so')
    }
    this.#obstacles.push({ operation, moment, meet })
  }

  /** Nothing is held or failed any more that is not held already. */
  clearObstacles(): void {
    this.#obstacles.length = 0
  }

  /** Not to be reached from now on; a statement under way is not touched. */
  stop(): void {
    this.#down = true
  }

  restart(): void {
    this.#down = false
  }

  /** The store does not take this key's data: a statement with it changes nothing. */
  refuse(key: string): void {
    this.#refused.add(key)
  }

  /** Another transaction holds this row. */
  lock(key: string): void {
    this.#locked.add(key)
  }

  unlock(key: string): void {
    this.#locked.delete(key)
  }

  backup(): Backup {
    return { rows: new Map(this.#rows), latest: this.#latest, commits: this.#commits }
  }

  /** Another server takes over, with what it had; its sequence hands the same versions out again. */
  failOver(epoch: Epoch, { rows, latest }: Omit<Backup, 'commits'>): void {
    this.#epoch = epoch
    this.#rows = new Map(rows)
    this.#latest = latest
  }

  /** From now on the replica gets nothing new; or it is another one, which got nothing since the backup. */
  replicaStops(backup = this.backup()): void {
    this.#replica = backup
  }

  replicaReplays(): void {
    this.#replica = undefined
    this.#untilReplayed?.open()
    this.#untilReplayed = undefined
  }

  async #statement<T>(operation: Operation, keys: readonly string[], effect: () => T): Promise<T> {
    this.statements.push({ operation, keys })
    await this.#meet(operation, 'before')
    if (this.#down && operation !== 'replica read')
      throw new CacheError('store-unavailable', 'the database is down')
    const answer = effect()
    await this.#meet(operation, 'after')
    return answer
  }

  async #meet(operation: Operation, moment: Moment): Promise<void> {
    const index = this.#obstacles.findIndex((it) => it.operation === operation && it.moment === moment)
    if (index >= 0) await this.#obstacles.splice(index, 1)[0]?.meet()
  }

  #acceptable(keys: readonly string[]): void {
    if (keys.some((key) => this.#refused.has(key))) throw new CacheError('refused', 'not this data')
    if (keys.some((key) => this.#locked.has(key))) throw new CacheError('row-locked', 'a row is locked')
  }

  #entries(rows: ReadonlyMap<string, Row>, wanted: readonly Wanted[]): Map<string, StoredEntry | Unchanged> {
    const nowMs = this.#clock.now()
    const epoch = this.#epoch
    const answer = new Map<string, StoredEntry | Unchanged>()
    for (const { key, held } of wanted) {
      const row = rows.get(key)
      if (row === undefined || row.expiresAtMs <= nowMs) continue
      const { version } = row
      const remainingMs = Number.isFinite(row.expiresAtMs) ? row.expiresAtMs - nowMs : undefined
      const isHeld = held?.version === version && held.epoch === epoch
      const stored = { key, version, epoch, remainingMs }
      answer.set(key, isHeld ? { ...stored, value: undefined } : { ...stored, value: row.value })
    }
    return answer
  }

  #commit(key: string, row: Row | undefined): void {
    this.#commits++
    if (row) this.#rows.set(key, row)
    else this.#rows.delete(key)
    for (const witness of this.#witnesses) witness(key, row?.value)
  }

  #announce(change: Change): void {
    for (const listener of this.#listeners) listener(change)
  }
}

function keysOf(items: readonly { readonly key: string }[]): string[] {
  return items.map(({ key }) => key)
}
