import type {
  Change,
  Epoch,
  Mark,
  StoredEntry,
  Transaction,
  Unchanged,
  Value,
  Version,
  Written,
} from '../../src/core/entry.js'
import type {
  ConditionalAnswer,
  ConditionalWrite,
  MarkAnswer,
  Position,
  Proof,
  RemoveAnswer,
  SentWrite,
  Settlement,
  TransactionOutcome,
  Wanted,
  Write,
  WriteAnswer,
} from '../../src/core/ports.js'
import { entryTag } from '../../src/core/state/entry-tag.js'
import { keyId } from '../../src/core/state/key-id.js'
import type { Removal } from '../../src/core/writes/invalidation.js'

interface Row {
  readonly value: Value
  readonly version: bigint
  /** Which commit it was, counted through all histories. */
  readonly commit: number
  /** `Infinity` for a row that stays. */
  readonly expiresAtMs: number
}

interface State {
  readonly key: string
  readonly rows: Map<string, Row>
  readonly sequence: bigint
  readonly marks: Map<Mark, number>
  readonly trigger: ForeignTrigger | undefined
  readonly fingerprint: number
}

const saltBits = 24n

/** Effect of a user's trigger on each row that is written. */
export type ForeignTrigger = 'changes the value' | 'leaves the row out' | 'writes the row again'

/** Time in which a key had this value, by the driven clock. The value is undefined if there was no entry. */
export interface Reign {
  readonly value: Value | undefined
  /** Undefined before the first write, and for what a failover brought back. */
  readonly written: Written | undefined
  readonly fromMs: number
  untilMs: number
}

/** Changes and probe answers that are on their way to one listener, in commit order. */
export type Delivery = Change | { readonly kind: 'probe'; readonly sentMs: number; readonly proof: Proof }

/** One database, as the sidecars see PostgreSQL, with its whole history for those who check. */
export class SimulatedDatabase {
  readonly #nowMs: () => number
  readonly #reigns = new Map<string, Reign[]>()
  readonly listeners = new Set<Delivery[]>()
  readonly #isSalted: boolean
  #rows = new Map<string, Row>()
  #sequence = 0n
  #salt = 0n
  #timeline = 1
  #commits = 0
  /** Number of commits at each mark. */
  #marks = new Map<Mark, number>()
  #lastMark: MarkAnswer | undefined
  #markCount = 0
  #fingerprint = 0
  #histories = 0
  #transactions = 0
  readonly #committed = new Map<string, ReadonlyMap<string, Settlement>>()
  /** Never the same twice: in PostgreSQL they come from the numbers of transactions and files. */
  #fingerprints = 0
  #trigger: ForeignTrigger | undefined
  /** The default on the column; undefined where there is none. */
  #expiresAfterMs: number | undefined
  /** Expiry by value, for values that expire. */
  readonly #expiriesMs = new Map<Value, number>()
  /** Number of commits, by value, at the time when a sidecar kept it. */
  readonly #keptAfter = new Map<Value, number>()
  /** Pending writes that have overwritten what was acknowledged after they were kept. */
  readonly violations: string[] = []
  /** The state after each commit, for a failover that loses some. */
  #states: State[] = [
    { key: 'none', rows: new Map(), sequence: 0n, marks: new Map(), trigger: undefined, fingerprint: 0 },
  ]

  /**
   * Creates a model. With `salted`, as in PostgreSQL, no version is drawn twice; without it, another history draws
   * the same ones.
   */
  constructor(nowMs: () => number, { salted = false } = {}) {
    this.#nowMs = nowMs
    this.#isSalted = salted
  }

  get epoch(): Epoch {
    return `1-0000000${this.#timeline}`
  }

  value(key: string): Value | undefined {
    return this.reigns(key).at(-1)?.value
  }

  hasExpired(value: Value): boolean {
    return (this.#expiriesMs.get(value) ?? Number.POSITIVE_INFINITY) <= this.#nowMs()
  }

  reigns(key: string): readonly Reign[] {
    this.#expire(key)
    return this.#reignsSoFar(key)
  }

  #reignsSoFar(key: string): readonly Reign[] {
    return (
      this.#reigns.get(key) ?? [
        {
          value: undefined,
          written: undefined,
          fromMs: Number.NEGATIVE_INFINITY,
          untilMs: Number.POSITIVE_INFINITY,
        },
      ]
    )
  }

  /** Number of commits in this history. */
  get commits(): number {
    return this.#states.length - 1
  }

  rowsAfter(commits: number): ReadonlyMap<string, Row> {
    return this.#states[commits]?.rows ?? new Map()
  }

  read(
    wanted: readonly Wanted[],
    rows: ReadonlyMap<string, Row> = this.#rows,
    epoch = this.epoch,
  ): Map<string, StoredEntry | Unchanged> {
    const found = new Map<string, StoredEntry | Unchanged>()
    for (const { key, held } of wanted) {
      const row = rows.get(key)
      if (!row || row.expiresAtMs <= this.#nowMs()) continue
      const version = String(row.version)
      const remainingMs = this.#remainingMs(row)
      const unchanged = held?.version === version && held.epoch === epoch && held.value === row.value
      const value = unchanged ? undefined : row.value
      found.set(key, { key, version, epoch, remainingMs, isComparable: true, value } as
        | StoredEntry
        | Unchanged)
    }
    return found
  }

  versions(keys: readonly string[], epoch: Epoch): Map<string, Version> | undefined {
    if (epoch !== this.epoch) return undefined
    const found = new Map<string, Version>()
    for (const key of keys) {
      const row = this.#rows.get(key)
      if (row) found.set(key, String(row.version))
    }
    return found
  }

  position(mark?: Mark): Position & { readonly hasMark: boolean } {
    const latest = this.#isSalted ? (this.#sequence << saltBits) | ((1n << saltBits) - 1n) : this.#sequence
    return { epoch: this.epoch, latest, hasMark: mark === undefined || this.#marks.has(mark) }
  }

  get fingerprint(): string {
    return String(this.#fingerprint)
  }

  proof(): Proof {
    return { ...this.position(), fingerprint: this.fingerprint, databaseMs: this.#nowMs() }
  }

  mark(): MarkAnswer {
    const { latest } = this.position()
    if (this.#lastMark?.latest !== latest) {
      this.#lastMark = { mark: String(++this.#markCount), latest }
      this.#marks.set(this.#lastMark.mark, this.#commits)
    }
    return this.#lastMark
  }

  /** A sidecar has kept a write of this value. */
  kept(value: Value): void {
    this.#keptAfter.set(value, this.#commits)
  }

  write(writes: readonly Write[]): Map<string, WriteAnswer> {
    const answer = new Map<string, WriteAnswer>()
    for (const { key, value, ttlMs } of writes) {
      const version = this.#write(key, value, ttlMs)
      const row = this.#rows.get(key)
      if (version === undefined || row === undefined) continue
      const isAsSent = this.#trigger === undefined
      answer.set(key, { version, epoch: this.epoch, remainingMs: this.#remainingMs(row), isAsSent })
    }
    return answer
  }

  /** Writes all, or nothing if a condition does not hold. */
  writeAll(writes: readonly ConditionalWrite[]): ConditionalAnswer[] {
    const mayWrite = writes.every((write) => this.writeIf(write, false).isMet)
    return writes.map((write) => this.writeIf(write, mayWrite))
  }

  writeIf({ key, value, condition }: ConditionalWrite, mayWrite = true): ConditionalAnswer {
    const { epoch } = this
    const row = this.#rows.get(key)
    const before = row && row.expiresAtMs > this.#nowMs() ? String(row.version) : undefined
    const tag = before && entryTag({ version: before, epoch })
    const { match, noneMatch } = condition
    const hasOne = (tags: '*' | readonly string[]) =>
      tag !== undefined && (tags === '*' || tags.includes(tag))
    const isMet = (!match || hasOne(match)) && !(noneMatch && hasOne(noneMatch))
    if (!isMet || !mayWrite) return { epoch, before, isMet, written: undefined }
    if (value !== undefined) return { epoch, before, isMet, written: this.write([{ key, value }]).get(key) }
    const removed = this.remove([key]).get(key)
    const written = removed?.version === undefined ? undefined : { ...removed, remainingMs: undefined }
    return { epoch, before, isMet, written }
  }

  /** The version that the statement is told; undefined if the row was left out. */
  #write(key: string, value: Value, ttlMs?: number): Version | undefined {
    switch (this.#trigger) {
      case undefined:
        return this.#commit(key, value, ttlMs)
      case 'changes the value':
        return this.#commit(key, `${value}.5`, ttlMs)
      case 'leaves the row out':
        return undefined
      case 'writes the row again': {
        // In one transaction: the first of the two is never visible, and is announced after the second.
        const version = String(this.#draw())
        this.#commit(key, `${value}.5`, ttlMs)
        this.#announce({ kind: 'key', id: keyId(key), version })
        return version
      }
    }
  }

  /** Somebody makes a trigger, or drops it. */
  toggleTrigger(trigger: ForeignTrigger): void {
    this.#trigger = this.#trigger === undefined ? trigger : undefined
    this.#fingerprint = ++this.#fingerprints
  }

  /** Somebody sets a default on the column that says when a row expires, or drops it. */
  toggleExpiry(afterMs: number): void {
    this.#expiresAfterMs = this.#expiresAfterMs === undefined ? afterMs : undefined
  }

  /** Triggers off, update, triggers on: the version stays, and nothing is announced. */
  setSilently(key: string, value: Value): void {
    const row = this.#rows.get(key)
    if (row === undefined) return
    this.#fingerprint = ++this.#fingerprints
    this.#keepState(key, { ...row, value, commit: ++this.#commits })
    if (Number.isFinite(row.expiresAtMs)) this.#expiriesMs.set(value, row.expiresAtMs)
    this.#reign(key, value, undefined)
  }

  remove(keys: readonly string[]): Map<string, RemoveAnswer> {
    const { epoch } = this
    const isAsSent = this.#trigger === undefined
    const answer = new Map<string, RemoveAnswer>()
    for (const key of keys) {
      const hadExpired = this.#isExpired(key)
      const version = this.#rows.has(key) ? this.#commit(key, undefined) : undefined
      const isRemoved = version !== undefined && !hadExpired
      answer.set(key, isRemoved ? { version, epoch, isAsSent } : { version: undefined, epoch })
    }
    return answer
  }

  /** Removes all rows that have expired, which is not announced. */
  sweep(): void {
    for (const key of [...this.#rows.keys()]) if (this.#isExpired(key)) this.#commit(key, undefined)
  }

  #isExpired(key: string): boolean {
    return (this.#rows.get(key)?.expiresAtMs ?? Number.POSITIVE_INFINITY) <= this.#nowMs()
  }

  /** Removes every entry, and names none. */
  removeAll(): Removal {
    return { count: this.remove([...this.#rows.keys()]).size, rows: undefined }
  }

  /** Transactions are numbered anew in every history. */
  begin(): Transaction {
    return { id: `${this.#histories}.${++this.#transactions}`, epoch: this.epoch }
  }

  outcomeOf({ id, epoch }: Transaction): TransactionOutcome {
    if (epoch !== this.epoch || !id.startsWith(`${this.#histories}.`)) return 'unknown'
    const settlements = this.#committed.get(id)
    return settlements ? { settlements } : 'aborted'
  }

  settle(writes: readonly SentWrite[], { id }: Transaction): Map<string, Settlement> {
    const settled = new Map<string, Settlement>()
    this.#committed.set(id, settled)
    for (const write of writes) {
      if (!this.#isUnchanged(write)) continue
      const { key, value, ttlMs } = write
      const row = this.#rows.get(key)
      const keptAfter = value === undefined ? undefined : this.#keptAfter.get(value)
      if (row && keptAfter !== undefined && row.commit > keptAfter)
        this.violations.push(`I4: ${key} = ${row.value} was overwritten by ${value}, which is older`)
      const version = value === undefined ? undefined : this.#write(key, value, ttlMs)
      if (value === undefined && row) this.#commit(key, undefined)
      if (value !== undefined && version === undefined) continue
      settled.set(key, {
        kind: 'written',
        written: version === undefined ? undefined : { version, epoch: this.epoch },
      })
    }
    return settled
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
    if (row === undefined && mayHaveExpired && !mayHaveHappened && epoch === this.epoch) return true
    if (outcomes.some((one) => one?.value === row?.value) && (row || !mayHaveHappened)) return true
    if (base.kind === 'held') {
      if (row === undefined) return value === undefined
      const isSameValue =
        base.value === undefined ? base.fingerprint === String(this.#fingerprint) : base.value === row.value
      if (!isSameValue) return false
      return String(row.version) === base.version && (this.#isSalted || epoch === this.epoch)
    }
    const before = base.mark === undefined ? undefined : this.#marks.get(base.mark)
    const isSameHistory = base.mark === undefined || before !== undefined
    if (row === undefined) return value === undefined || (isSameHistory && !mayHaveHappened)
    return before !== undefined && row.commit <= before
  }

  /** A statement too large to name its keys: all rows are written again. */
  rewriteEverything(value: (key: string) => Value): void {
    for (const key of [...this.#rows.keys()]) this.#store(key, value(key))
    this.#announce({ kind: 'everything' })
  }

  /** A role of the database sends a notification of its own: nothing changed, or not yet. */
  forge(kind: 'next version' | 'high version' | 'everything', key: string): void {
    const version = kind === 'next version' ? this.#sequence + 1n : this.#sequence + 1_000n
    this.#announce(
      kind === 'everything' ? { kind } : { kind: 'key', id: keyId(key), version: String(version) },
    )
  }

  /**
   * A standby is promoted that lacks the last commits, whose keys it returns. Listeners hear nothing more, and are not
   * told.
   */
  failOver(lostCommits: number): string[] {
    this.#timeline++
    return this.rewind(lostCommits)
  }

  /** A snapshot is put back that lacks the last commits. Nothing but the data says so. */
  rewind(lostCommits: number): string[] {
    this.#histories++
    const kept = this.#states.slice(0, Math.max(1, this.#states.length - lostCommits))
    const lost = this.#states.slice(kept.length).map(({ key }) => key)
    const { rows, sequence, marks, trigger, fingerprint } = kept.at(-1) as State
    for (const key of new Set([...this.#rows.keys(), ...rows.keys()])) {
      this.#expire(key)
      if (rows.get(key)?.value !== this.#rows.get(key)?.value)
        this.#reign(key, rows.get(key)?.value, undefined)
    }
    this.#states = kept
    this.#rows = new Map(rows)
    this.#sequence = sequence
    this.#marks = new Map(marks)
    this.#trigger = trigger
    this.#fingerprint = fingerprint
    this.#lastMark = undefined
    this.listeners.clear()
    return lost
  }

  #commit(key: string, value: Value | undefined, ttlMs?: number): Version {
    const isUnannounced = value === undefined && this.#isExpired(key)
    const version = this.#store(key, value, ttlMs)
    if (!isUnannounced) this.#announce({ kind: 'key', id: keyId(key), version })
    return version
  }

  #store(key: string, value: Value | undefined, ttlMs?: number): Version {
    const before = this.#rows.get(key)
    this.#commits++
    const row = value === undefined ? undefined : this.#newRow(value, ttlMs)
    this.#keepState(key, row)
    const version = row ? String(row.version) : `-${before?.version}`
    this.#reign(key, value, { version, epoch: this.epoch })
    return version
  }

  #newRow(value: Value, ttlMs = this.#expiresAfterMs): Row {
    const expiresAtMs = this.#nowMs() + (ttlMs ?? Number.POSITIVE_INFINITY)
    if (Number.isFinite(expiresAtMs)) this.#expiriesMs.set(value, expiresAtMs)
    return { value, version: this.#draw(), commit: this.#commits, expiresAtMs }
  }

  #remainingMs({ expiresAtMs }: Row): number | undefined {
    return Number.isFinite(expiresAtMs) ? expiresAtMs - this.#nowMs() : undefined
  }

  #draw(): bigint {
    this.#sequence++
    return this.#isSalted ? (this.#sequence << saltBits) | ++this.#salt : this.#sequence
  }

  #keepState(key: string, row: Row | undefined): void {
    this.#expire(key)
    if (row) this.#rows.set(key, row)
    else this.#rows.delete(key)
    this.#states.push({
      key,
      rows: new Map(this.#rows),
      sequence: this.#sequence,
      marks: new Map(this.#marks),
      trigger: this.#trigger,
      fingerprint: this.#fingerprint,
    })
  }

  #reign(key: string, value: Value | undefined, written: Written | undefined): void {
    this.#reignFrom(this.#nowMs(), key, value, written)
  }

  /** The row still exists but must not be served any more. */
  #expire(key: string): void {
    const row = this.#rows.get(key)
    if (row === undefined || row.expiresAtMs > this.#nowMs()) return
    const last = this.#reignsSoFar(key).at(-1) as Reign
    if (last.value === row.value)
      this.#reignFrom(Math.max(row.expiresAtMs, last.fromMs), key, undefined, undefined)
  }

  #reignFrom(fromMs: number, key: string, value: Value | undefined, written: Written | undefined): void {
    const reigns = [...this.#reignsSoFar(key)]
    const last = reigns.at(-1) as Reign
    last.untilMs = fromMs
    reigns.push({ value, written, fromMs, untilMs: Number.POSITIVE_INFINITY })
    this.#reigns.set(key, reigns)
  }

  #announce(change: Change): void {
    for (const deliveries of this.listeners) deliveries.push(change)
  }
}
