import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type {
  Absent,
  Epoch,
  Mark,
  PendingWrite,
  StoredEntry,
  Transaction,
  Unchanged,
  Value,
  Version,
  Withheld,
  Written,
} from '../../core/entry.js'
import type {
  BatchPart,
  MarkAnswer,
  Position,
  Settlement,
  Store,
  TransactionOutcome,
  Wanted,
  Write,
  WriteAnswer,
} from '../../core/ports.js'
import type { Attempts } from '../pool/attempts.js'
import type { Database } from '../pool/database.js'
import { sqlState } from '../pool/errors.js'
import type { SchemaName } from '../schema/schema-name.js'
import { type EntryRow, entryOf, heldColumns, outcomeOf, wantedColumns } from './entry-row.js'
import { defaultReadBytes, type EntryStatements, entryStatements } from './entry-statements.js'
import { toColumns } from './value.js'

interface WrittenRow {
  readonly key: string
  readonly version: Version
  readonly epoch: Epoch
}

interface StoredRow extends WrittenRow {
  readonly remaining_ms: number | null
  readonly is_as_sent: boolean
}

interface PositionRow {
  readonly epoch: Epoch
  readonly latest: string
  readonly has_mark: boolean
}

interface SettledRow {
  readonly key: string
  /** Null for a delete. */
  readonly version: Version | null
  readonly epoch: Epoch
}

const invalidParameterValue = '22023'

/** Row without a key, which is returned if no entry was found, and has the epoch. */
interface NothingRow {
  readonly key: null
  readonly epoch: Epoch
}

export interface PostgresStoreParts {
  readonly database: Database
  readonly attempts: Attempts
  readonly schema: SchemaName
  /** Maximum bytes of values that one statement returns. */
  readonly maxReadBytes?: number | undefined
}

/**
 * System of record. A call sends one statement for any number of keys; `read` may send a second one for large values.
 * Statements that lock rows lock them in the order of their keys, so that two sidecars do not deadlock. Statements of
 * requests are retried where that is safe, and fail immediately while the breaker is open. Statements of the feed are
 * always sent, and close the breaker if they succeed.
 */
export class PostgresStore implements Store {
  readonly #database: Database
  readonly #attempts: Attempts
  readonly #schema: SchemaName
  readonly #maxReadBytes: number
  #statements: { readonly schema: string; readonly texts: EntryStatements } | undefined

  constructor({ database, attempts, schema, maxReadBytes = defaultReadBytes }: PostgresStoreParts) {
    this.#database = database
    this.#attempts = attempts
    this.#schema = schema
    this.#maxReadBytes = maxReadBytes
  }

  async read(
    wanted: readonly Wanted[],
    part?: BatchPart,
  ): Promise<Map<string, StoredEntry | Unchanged | Withheld | Absent>> {
    const rows = await this.#rowsOf(wanted, part)
    const { epoch } = rows[0] as NothingRow | EntryRow
    const answers = new Map<string, StoredEntry | Unchanged | Withheld | Absent>()
    for (const { key } of wanted) answers.set(key, { version: undefined, epoch })
    for (const row of rows) if (row.key !== null) answers.set(row.key, entryOf(row))
    return answers
  }

  #rowsOf(wanted: readonly Wanted[], part: BatchPart | undefined): Promise<(EntryRow | NothingRow)[]> {
    if (wanted.some(({ held }) => held !== undefined))
      return this.#read('readWhatIsNotHeld', wantedColumns(wanted), part)
    if (wanted.length === 1) return this.#read('readOne', [wanted[0]?.key], part)
    return this.#readMany(
      wanted.map(({ key }) => key),
      part,
    )
  }

  /**
   * Reads many keys. Values are nearly always small, and adding up their lengths takes a sixth of the statement's time.
   * So the first statement compares each length with an equal share of the room. The second one reads the larger values
   * with the room that is left, which is all of it if the first one returned no value. So at least one value is
   * returned.
   */
  async #readMany(keys: readonly string[], part: BatchPart | undefined): Promise<(EntryRow | NothingRow)[]> {
    const share = Math.floor(this.#maxReadBytes / keys.length)
    const rows = await this.#read<EntryRow | NothingRow>('readMany', [keys, share], part)
    const large = new Set<string>()
    for (const row of rows) if (row.key !== null && row.withheld === 'postponed') large.add(row.key)
    if (large.size === 0) return rows
    const found = rows.filter(({ key }) => key === null || !large.has(key))
    const bytes = found.reduce(
      (sum, row) => sum + (row.key === null ? 0 : Buffer.byteLength(row.value ?? '')),
      0,
    )
    const rest = await this.#read<EntryRow | NothingRow>(
      'readLarge',
      [[...large], this.#maxReadBytes - bytes],
      part,
    )
    return [...found, ...rest]
  }

  async versions(keys: readonly string[], epoch: Epoch): Promise<Map<string, Version>> {
    const { versions } = await this.#texts()
    const rows = await this.#database.read<Omit<WrittenRow, 'epoch'>>(versions, [keys, epoch])
    this.#attempts.reached()
    return new Map(rows.map(({ key, version }) => [key, version]))
  }

  async write(writes: readonly Write[], part?: BatchPart): Promise<Map<string, WriteAnswer>> {
    const keys = writes.map(({ key }) => key)
    const columns = writes.map(({ value }) => toColumns(value))
    const texts = columns.map(({ text }) => text)
    const contentTypes = columns.map(({ contentType }) => contentType)
    // A sidecar with little traffic sends single writes; arrays would cost 15 µs more (bench/README.md).
    const rows =
      writes.length === 1
        ? await this.#write<StoredRow>('writeOne', [keys[0], texts[0], contentTypes[0]], 1, part)
        : await this.#write<StoredRow>('writeMany', [keys, texts, contentTypes], writes.length, part)
    const written = new Map<string, WriteAnswer>()
    for (const { key, version, epoch, remaining_ms, is_as_sent: isAsSent } of rows)
      written.set(key, { version, epoch, remainingMs: remaining_ms ?? undefined, isAsSent })
    return written
  }

  async remove(keys: readonly string[], part?: BatchPart): Promise<Map<string, Written | Absent>> {
    const rows = await this.#write<WrittenRow | NothingRow>('remove', [keys], keys.length, part)
    const { epoch } = rows[0] as NothingRow | WrittenRow
    const answers = new Map<string, Written | Absent>()
    for (const key of keys) answers.set(key, { version: undefined, epoch })
    for (const row of rows) if (row.key !== null) answers.set(row.key, { version: row.version, epoch })
    return answers
  }

  async lockedOf(keys: readonly string[]): Promise<ReadonlySet<string>> {
    const { locked } = await this.#texts()
    const rows = await this.#database.write<{ key: string }>(locked, [keys])
    return new Set(rows.map(({ key }) => key))
  }

  /** Returns the position of the database. Fails on a standby, where there is no feed either. */
  async position(mark?: Mark): Promise<Position & { readonly hasMark: boolean }> {
    const { position, positionAndMark } = await this.#texts()
    const [row] = await (mark === undefined
      ? this.#database.read<PositionRow>(position)
      : this.#database.read<PositionRow>(positionAndMark, [mark]))
    this.#attempts.reached()
    if (row === undefined) throw new Error('the sequence of versions returned no row')
    return { epoch: row.epoch, latest: BigInt(row.latest), hasMark: row.has_mark }
  }

  async mark(): Promise<MarkAnswer> {
    const { mark } = await this.#texts()
    const fresh = String(randomBytes(8).readBigUInt64BE() >> 1n)
    const [row] = await this.#database.write<{ mark: Mark; latest: string }>(mark, [fresh])
    this.#attempts.reached()
    if (row === undefined) throw new Error('no mark was written')
    return { mark: row.mark, latest: BigInt(row.latest) }
  }

  async settle(
    writes: readonly PendingWrite[],
    onBegun: (transaction: Transaction) => void,
  ): Promise<Map<string, Settlement>> {
    const columns = writes.map(({ value }) => (value === undefined ? undefined : toColumns(value)))
    const marks = writes.map(({ base }) => (base.kind === 'unseen' ? (base.mark ?? null) : null))
    const texts = await this.#texts()
    const isMarked = marks.some((mark) => mark !== null)
    const [plain, withDeletes] = isMarked
      ? [texts.settleMarked, texts.settleMarkedDeletes]
      : [texts.settle, texts.settleDeletes]
    const unknown = writes.filter(({ outcomes }) => outcomes.length > 0)
    const statement = columns.includes(undefined) ? withDeletes : plain
    const onId = (id: string, epoch: Epoch) => onBegun({ id, epoch })
    const { transactionId } = texts
    const rows = await this.#database.transaction<SettledRow>({ transactionId, statement, onId }, [
      writes.map(({ key }) => key),
      columns.map((column) => column?.text ?? null),
      columns.map((column) => column?.contentType ?? null),
      writes.map(({ base }) => (base.kind === 'held' ? base.version : null)),
      writes.map(({ epoch }) => epoch ?? null),
      ...heldColumns(writes.map(({ base }) => (base.kind === 'held' ? base.value : undefined))),
      marks,
      writes.map(({ mayHaveHappened }) => mayHaveHappened),
      unknown.map(({ key }) => key),
      unknown.map(({ outcomes }) =>
        outcomes.flatMap((value) => (value === undefined ? [] : outcomeOf(value))).join(),
      ),
      unknown.map(({ outcomes }) => outcomes.includes(undefined)),
      writes.map(({ base }) => (base.kind === 'held' ? (base.fingerprint ?? null) : null)),
    ])
    this.#attempts.reached()
    return new Map(
      rows.map(({ key, version, epoch }): [string, Settlement] => [
        key,
        { kind: 'written', written: version === null ? undefined : { version, epoch } },
      ]),
    )
  }

  async outcomeOf(transaction: Transaction, writes: readonly PendingWrite[]): Promise<TransactionOutcome> {
    const { transactionStatus, writtenBy } = await this.#texts()
    const asking = this.#database.read<{ status: string | null }>(transactionStatus, [
      transaction.epoch,
      transaction.id,
    ])
    const [row] = await asking.catch((error: unknown) => {
      // The transaction is in the future: this is another history after all.
      if (sqlState(error) === invalidParameterValue) return []
      throw error
    })
    this.#attempts.reached()
    if (row?.status === 'in progress') return 'in-progress'
    if (row?.status === 'aborted') return 'aborted'
    if (row?.status !== 'committed') return 'unknown'
    const rows = await this.#database.read<WrittenRow & { readonly is_written: boolean }>(writtenBy, [
      writes.map(({ key }) => key),
      transaction.id,
    ])
    const found = new Map(rows.map((written) => [written.key, written]))
    return {
      settlements: new Map(writes.map(({ key, value }) => [key, settlementOf(value, found.get(key))])),
    }
  }

  async #texts(): Promise<EntryStatements> {
    const schema = await this.#schema.get()
    if (this.#statements?.schema !== schema)
      this.#statements = { schema, texts: entryStatements(schema, this.#maxReadBytes) }
    return this.#statements.texts
  }

  #read<Row extends pg.QueryResultRow>(
    name: keyof EntryStatements,
    values: unknown[],
    part?: BatchPart,
  ): Promise<Row[]> {
    const attempt = async () => this.#database.read<Row>((await this.#texts())[name], values, part?.withinMs)
    return this.#attempts.run(attempt).catch(this.#schema.explain)
  }

  #write<Row extends pg.QueryResultRow>(
    name: keyof EntryStatements,
    values: unknown[],
    rows: number,
    part?: BatchPart,
  ): Promise<Row[]> {
    const attempt = async () => this.#database.write<Row>((await this.#texts())[name], values, part?.withinMs)
    return this.#attempts.run(attempt, maxConflicts(rows, part)).catch(this.#schema.explain)
  }
}

/**
 * Returns how often a statement is sent again after other transactions caused a rollback. With many rows, the same row
 * may be the reason each time. Then the rows are sent in parts, and in the end that row alone.
 */
function maxConflicts(rows: number, part: BatchPart | undefined): number {
  if (part !== undefined) return 0
  return rows === 1 ? Number.POSITIVE_INFINITY : 2
}

/** Returns the result of a committed write or delete. If another client has written the row since, it is a conflict. */
function settlementOf(
  value: Value | undefined,
  row: (Written & { readonly is_written: boolean }) | undefined,
): Settlement {
  if (value === undefined)
    return row === undefined ? { kind: 'written', written: undefined } : { kind: 'conflict' }
  if (!row?.is_written) return { kind: 'conflict' }
  return { kind: 'written', written: { version: row.version, epoch: row.epoch } }
}
