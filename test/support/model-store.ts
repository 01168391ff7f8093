import type {
  Absent,
  Change,
  Epoch,
  Mark,
  StoredEntry,
  Transaction,
  Unchanged,
  Value,
  Version,
} from '../../src/core/entry.js'
import { CacheError, type CacheErrorCode } from '../../src/core/errors.js'
import type { MediaType } from '../../src/core/media-type.js'
import type {
  Clock,
  ConditionalAnswer,
  ConditionalWrite,
  LogPosition,
  MarkAnswer,
  Position,
  RemoveAnswer,
  Replica,
  ReplicaAnswer,
  SentWrite,
  Settlement,
  Store,
  TransactionOutcome,
  TransactionWriter,
  Wanted,
  Write,
  WriteAnswer,
} from '../../src/core/ports.js'
import { entryTag } from '../../src/core/state/entry-tag.js'
import { keyId } from '../../src/core/state/key-id.js'
import type { EntryRemover } from '../../src/core/writes/invalidation.js'
import { Gate } from './gate.js'

export type Operation =
  | 'read'
  | 'versions'
  | 'write'
  | 'remove'
  | 'position'
  | 'mark'
  | 'settle'
  | 'outcome'
  | 'replica position'
  | 'replica read'

/** `before`: before the statement takes effect. `after`: after that, and before its answer is delivered. */
export type Moment = 'before' | 'after'

export interface Statement {
  readonly operation: Operation
  readonly keys: readonly string[]
}

interface Row {
  readonly value: Value
  readonly mediaType?: MediaType | undefined
  readonly version: Version
  /** Which commit it was, counted through all histories. */
  readonly commit: number
  /** Expiry by the clock of the database, which the model shares with the test; `Infinity` for none. */
  readonly expiresAtMs: number
}

type Rows = Map<string, Row>

interface Obstacle {
  readonly operation: Operation
  readonly moment: Moment
  /** Resolves to let the statement pass, throws to fail it. */
  readonly meet: () => Promise<void>
}

/** A copy of the database at one moment. */
export interface Backup {
  readonly rows: ReadonlyMap<string, Row>
  /** Number of versions that had been drawn. */
  readonly drawn: bigint
  readonly commits: number
  readonly marks: ReadonlyMap<Mark, number>
}

const saltBits = 24n

/**
 * PostgreSQL as the core sees it: rows, versions from one sequence, an epoch, and changes that are announced at commit.
 * A test can hold or fail every statement, before or after it takes effect.
 *
 * The other model, simulated-database.ts, is for the property test: it keeps every past state, and the time in which
 * each value was current. They have 56 lines in common, of 275 here and 239 there, most of them the rules of the store.
 * A common base would save these, and each model would have to be read in two files.
 */
export class ModelStore implements Store {
  /** Every statement sent, those that failed too, in their order. */
  readonly statements: Statement[] = []
  readonly #clock: Clock
  readonly #isSalted: boolean
  #rows: Rows = new Map()
  #drawn = 0n
  #salt = 0n
  /** Number of commits at each mark. */
  #marks = new Map<Mark, number>()
  #lastMark: MarkAnswer | undefined
  #markCount = 0
  #fingerprint = 0
  /** Effect of a user's trigger on a value; undefined if there is no trigger. */
  #altered: ((value: Value) => Value | undefined) | undefined
  /** The default on the column that says when a row expires; undefined where there is none. */
  #defaultRemainingMs: number | undefined
  #epoch: Epoch = '1-00000001'
  #down = false
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #witnesses = new Set<(key: string, value: Value | undefined) => void>()
  readonly #obstacles: Obstacle[] = []
  #transactions = 0
  readonly #committed = new Map<string, ReadonlyMap<string, Settlement>>()
  readonly #refused = new Set<string>()
  readonly #locked = new Set<string>()
  #commits = 0
  #clockAheadMs = 0
  /** Contents of the replica when it stopped; undefined while it is up to date. */
  #replica: Backup | undefined
  #untilReplayed: Gate | undefined

  /**
   * Creates a model. With `salted`, as in PostgreSQL, no version is drawn twice; without it, another history draws
   * the same ones.
   */
  constructor(clock: Clock, { salted = false } = {}) {
    this.#clock = clock
    this.#isSalted = salted
  }

  // --- Store ---

  read(wanted: readonly Wanted[]): Promise<Map<string, StoredEntry | Unchanged | Absent>> {
    return this.#statement('read', keysOf(wanted), () => {
      const answer = new Map<string, StoredEntry | Unchanged | Absent>()
      for (const { key } of wanted)
        answer.set(key, { version: undefined, epoch: this.#epoch, viaOutbox: this.isViaOutbox(key) })
      for (const [key, entry] of this.#entries(this.#rows, wanted))
        answer.set(key, { ...entry, viaOutbox: this.isViaOutbox(key) })
      return answer
    })
  }

  readAtOnce(wanted: readonly Wanted[]): Promise<Map<string, StoredEntry | Unchanged | Absent>> {
    return this.read(wanted)
  }

  versions(keys: readonly string[], epoch: Epoch): Promise<Map<string, Version> | undefined> {
    return this.#statement('versions', keys, () => {
      if (epoch !== this.#epoch) return undefined
      const answer = new Map<string, Version>()
      for (const key of keys) {
        const row = this.#rows.get(key)
        if (row) answer.set(key, row.version)
      }
      return answer
    })
  }

  write(writes: readonly Write[]): Promise<Map<string, WriteAnswer>> {
    const keys = keysOf(writes)
    return this.#statement('write', keys, () => {
      this.#acceptable(keys)
      const answer = new Map<string, WriteAnswer>()
      for (const write of writes) {
        const written = this.#write(write)
        if (written) answer.set(write.key, written)
      }
      return answer
    })
  }

  #write({
    key,
    value,
    mediaType,
    ttlMs: remainingMs = this.#defaultRemainingMs,
  }: Write): WriteAnswer | undefined {
    const stored = this.#altered ? this.#altered(value) : value
    if (stored === undefined) return undefined
    const version = this.setBySql(key, stored, { mediaType, remainingMs })
    const isAsSent = this.#altered === undefined
    return { version, epoch: this.#epoch, remainingMs, isAsSent }
  }

  /** Writes all, or nothing if a condition does not hold. */
  readonly writer: TransactionWriter = {
    writeAll: (writes) =>
      this.#statement('write', keysOf(writes), () => {
        this.#acceptable(keysOf(writes))
        const mayWrite = writes.every((write) => this.#decide(write, false).isMet)
        return writes.map((write) => this.#decide(write, mayWrite))
      }),
  }

  writeIf(write: ConditionalWrite): Promise<ConditionalAnswer> {
    return this.#statement(write.value === undefined ? 'remove' : 'write', [write.key], () => {
      this.#acceptable([write.key])
      return this.#decide(write)
    })
  }

  #decide(write: ConditionalWrite, mayWrite = true): ConditionalAnswer {
    const { key, value, mediaType, ttlMs, condition } = write
    const epoch = this.#epoch
    const [entry] = this.#entries(this.#rows, [{ key }]).values()
    const before = entry?.version
    const tag = entry && entryTag(entry)
    const { match, noneMatch } = condition
    const hasOne = (tags: '*' | readonly string[]) =>
      tag !== undefined && (tags === '*' || tags.includes(tag))
    const isMet = (!match || hasOne(match)) && !(noneMatch && hasOne(noneMatch))
    if (!isMet || !mayWrite) return { epoch, before, isMet, written: undefined }
    if (value !== undefined)
      return { epoch, before, isMet, written: this.#write({ key, value, mediaType, ttlMs }) }
    const version = this.deleteBySql(key)
    const written =
      version === undefined ? undefined : { version, epoch, remainingMs: undefined, isAsSent: true }
    return { epoch, before, isMet, written }
  }

  remove(keys: readonly string[]): Promise<Map<string, RemoveAnswer>> {
    return this.#statement('remove', keys, () => {
      this.#acceptable(keys)
      const answer = new Map<string, RemoveAnswer>()
      const isAsSent = this.#altered === undefined
      for (const key of keys) {
        const hadExpired = this.#hasExpired(key)
        const version = this.deleteBySql(key)
        const epoch = this.#epoch
        const isRemoved = version !== undefined && !hadExpired
        answer.set(key, isRemoved ? { version, epoch, isAsSent } : { version: undefined, epoch })
      }
      return answer
    })
  }

  /** Removes entries by key and prefix. The model has no groups: every entry is in every group. */
  readonly remover: EntryRemover = {
    remove: ({ keys, groups, prefix, all }) =>
      this.#statement('remove', keys, () => {
        const isSelected = (key: string) =>
          all || groups.length > 0 || keys.includes(key) || (prefix !== undefined && key.startsWith(prefix))
        const selected = [...this.#rows.keys()].filter(isSelected)
        const rows = selected.map((key) => ({ key, version: this.deleteBySql(key) as Version }))
        return { count: rows.length, rows: rows.length > this.maxNamed ? undefined : rows }
      }),
  }
  /** Number of removed entries that are named. */
  maxNamed = Number.POSITIVE_INFINITY
  /** Tells for which keys changes are announced through the outbox. */
  isViaOutbox: (key: string) => boolean = () => false

  async lockedOf(keys: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(keys.filter((key) => this.#locked.has(key)))
  }

  position(mark?: Mark): Promise<Position & { readonly hasMark: boolean }> {
    return this.#statement('position', [], () => ({
      ...this.now(),
      hasMark: mark === undefined || this.#marks.has(mark),
    }))
  }

  mark(): Promise<MarkAnswer> {
    return this.#statement('mark', [], () => {
      const { latest } = this.now()
      if (this.#lastMark?.latest !== latest) {
        const mark = String(++this.#markCount)
        this.#lastMark = { mark, latest }
        this.#marks.set(mark, this.#commits)
      }
      return this.#lastMark as MarkAnswer
    })
  }

  settle(
    writes: readonly SentWrite[],
    onBegun: (transaction: Transaction) => void = () => undefined,
  ): Promise<Map<string, Settlement>> {
    const keys = keysOf(writes)
    const transaction = { id: String(++this.#transactions), epoch: this.#epoch }
    return this.#statement('settle', keys, () => {
      onBegun(transaction)
      this.#acceptable(keys)
      const answer = new Map<string, Settlement>()
      this.#committed.set(transaction.id, answer)
      for (const write of writes) {
        if (!this.#isUnchanged(write)) continue
        const { key, value, mediaType, ttlMs: remainingMs } = write
        if (value === undefined) this.deleteBySql(key)
        const written =
          value === undefined
            ? undefined
            : { version: this.setBySql(key, value, { mediaType, remainingMs }), epoch: this.#epoch }
        answer.set(key, { kind: 'written', written })
      }
      return answer
    })
  }

  /** Decides like `committedSettlements`: by what the caller says it has sent. */
  outcomeOf({ id, epoch }: Transaction, writes: readonly SentWrite[]): Promise<TransactionOutcome> {
    return this.#statement('outcome', [], () => {
      if (epoch !== this.#epoch) return 'unknown'
      const settlements = this.#committed.get(id)
      if (settlements === undefined) return 'aborted'
      const isAsSaid = ({ key, value }: SentWrite) => {
        const settled = settlements.get(key)
        return settled?.kind === 'written' && (settled.written === undefined) === (value === undefined)
      }
      const said = writes
        .filter(isAsSaid)
        .map(({ key }) => [key, settlements.get(key) as Settlement] as const)
      return { settlements: new Map(said) }
    })
  }

  /** Decides like the statement in postgres/store/entry-statements.ts. */
  #isUnchanged({
    key,
    value,
    base,
    epoch,
    mayHaveHappened,
    outcomes,
    mayHaveExpired = false,
  }: SentWrite): boolean {
    const row = this.#rows.get(key)
    if (row === undefined && mayHaveExpired && !mayHaveHappened && epoch === this.#epoch) return true
    const isOutcome = outcomes.some((one) => one?.value === row?.value && one?.mediaType === row?.mediaType)
    if (isOutcome && (row || !mayHaveHappened)) return true
    if (base.kind === 'held') {
      if (row === undefined) return value === undefined
      const isSameValue =
        base.value === undefined
          ? base.fingerprint === String(this.#fingerprint)
          : base.value === row.value && base.mediaType === row.mediaType
      if (!isSameValue) return false
      return row.version === base.version && (this.#isSalted || epoch === this.#epoch)
    }
    const before = base.mark === undefined ? undefined : this.#marks.get(base.mark)
    const isSameHistory = base.mark === undefined || before !== undefined
    if (row === undefined) return value === undefined || (isSameHistory && !mayHaveHappened)
    return before !== undefined && row.commit <= before
  }

  /** Returns the answer to a probe. */
  now(): Position & { readonly fingerprint: string; readonly databaseMs: number } {
    const latest = this.#isSalted ? (this.#drawn << saltBits) | ((1n << saltBits) - 1n) : this.#drawn
    return {
      epoch: this.#epoch,
      latest,
      fingerprint: String(this.#fingerprint),
      databaseMs: this.#clock.now() + this.#clockAheadMs,
    }
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

  // --- Changes by other clients ---

  /** Commits at once. `version` is one from `stamp`, for a transaction that was slow to commit. */
  setBySql(
    key: string,
    value: Value,
    {
      version = this.stamp(),
      mediaType,
      remainingMs = this.#defaultRemainingMs ?? Number.POSITIVE_INFINITY,
    }: {
      readonly version?: Version
      readonly mediaType?: MediaType | undefined
      readonly remainingMs?: number | undefined
    } = {},
  ): Version {
    const commit = this.#commits + 1
    this.#commit(key, {
      value,
      mediaType,
      version,
      commit,
      expiresAtMs: this.#clock.now() + this.#clockAheadMs + remainingMs,
    })
    this.#announce({ kind: 'key', id: keyId(key), version })
    return version
  }

  /** The version of its absence, if it was there. The end of a row that had expired is not announced. */
  deleteBySql(key: string): Version | undefined {
    const row = this.#rows.get(key)
    if (row === undefined) return undefined
    const version = `-${row.version}`
    const hadExpired = this.#hasExpired(key)
    this.#commit(key, undefined)
    if (!hadExpired) this.#announce({ kind: 'key', id: keyId(key), version })
    return version
  }

  /** Removes all rows that have expired. */
  sweep(): void {
    for (const key of [...this.#rows.keys()]) if (this.#hasExpired(key)) this.deleteBySql(key)
  }

  #hasExpired(key: string): boolean {
    const { expiresAtMs = Number.POSITIVE_INFINITY } = this.#rows.get(key) ?? {}
    return expiresAtMs <= this.#clock.now() + this.#clockAheadMs
  }

  /** A statement that changes more rows than are worth naming. */
  setManyBySql(entries: Readonly<Record<string, Value>>): void {
    for (const [key, value] of Object.entries(entries)) {
      const commit = this.#commits + 1
      this.#commit(key, { value, version: this.stamp(), commit, expiresAtMs: Number.POSITIVE_INFINITY })
    }
    this.#announce({ kind: 'everything' })
  }

  /** The next of the sequence. */
  stamp(): Version {
    this.#drawn++
    return String(this.#isSalted ? (this.#drawn << saltBits) | this.#salt++ : this.#drawn)
  }

  /** Triggers off, update, triggers on: the version stays, and nothing is announced. */
  setSilently(key: string, value: Value): void {
    const row = this.#rows.get(key)
    if (row === undefined) return
    this.#commit(key, { ...row, value, commit: this.#commits + 1 })
    this.#fingerprint++
  }

  /** Somebody makes a trigger that stores something else than what is sent; undefined: it leaves the row out. */
  alterWith(altered: ((value: Value) => Value | undefined) | undefined): void {
    this.#altered = altered
    this.#fingerprint++
  }

  /** Somebody sets a default on the column that says when a row expires. */
  expireByDefault(remainingMs: number): void {
    this.#defaultRemainingMs = remainingMs
  }

  /** The database's clock is put forward, or back. */
  putClockForward(ms: number): void {
    this.#clockAheadMs += ms
  }

  /** Returns the committed value of this key, without a statement. */
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

  /** Registers a witness of every change at the moment of its commit. */
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
    return {
      rows: new Map(this.#rows),
      drawn: this.#drawn,
      commits: this.#commits,
      marks: new Map(this.#marks),
    }
  }

  /** Another server takes over, with what it had. */
  failOver(
    epoch: Epoch,
    { rows, drawn, marks = new Map() }: Partial<Backup> & Pick<Backup, 'rows' | 'drawn'>,
  ): void {
    this.#epoch = epoch
    this.#rows = new Map(rows)
    this.#drawn = drawn
    this.#marks = new Map(marks)
    this.#lastMark = undefined
  }

  /** A snapshot is put back: nothing but the data says so. */
  rewind(backup: Backup): void {
    this.failOver(this.#epoch, backup)
  }

  /** Somebody calls setval(). */
  setval(drawn: bigint): void {
    this.#drawn = drawn
  }

  /** Stops the replica, or replaces it by one that has received nothing since the backup. */
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
    const nowMs = this.#clock.now() + this.#clockAheadMs
    const epoch = this.#epoch
    const answer = new Map<string, StoredEntry | Unchanged>()
    for (const { key, held } of wanted) {
      const row = rows.get(key)
      if (row === undefined || row.expiresAtMs <= nowMs) continue
      const { version } = row
      const remainingMs = Number.isFinite(row.expiresAtMs) ? row.expiresAtMs - nowMs : undefined
      const isHeld =
        held?.version === version &&
        held.epoch === epoch &&
        held.value === row.value &&
        held.mediaType === row.mediaType
      const stored = { key, version, epoch, remainingMs, isComparable: true }
      answer.set(
        key,
        isHeld ? { ...stored, value: undefined } : { ...stored, value: row.value, mediaType: row.mediaType },
      )
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
