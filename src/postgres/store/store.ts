import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type { Epoch, Mark, Transaction, Version } from '../../core/entry.js'
import {
  type BatchPart,
  type ConditionalAnswer,
  type ConditionalWrite,
  formOf,
  type MarkAnswer,
  type Position,
  type RemoveAnswer,
  type SentWrite,
  type Settlement,
  type Store,
  type TransactionOutcome,
  type Wanted,
  type Write,
  type WriteAnswer,
} from '../../core/ports.js'
import type { Attempts } from '../pool/attempts.js'
import type { Database, SnapshotRead } from '../pool/database.js'
import { sqlState } from '../pool/errors.js'
import type { SchemaName } from '../schema/schema-name.js'
import { arrayLiteral } from './array-literal.js'
import {
  type ConditionalRow,
  conditionalAnswerOf,
  conditionalName,
  conditionalParameters,
  isUndecided,
} from './conditional-statement.js'
import { type EntryAnswers, EntryReads } from './entry-reads.js'
import { type EntryStatements, entryStatements } from './entry-statements.js'
import { type FillRow, fillAnswerOf, fillName, fillParameters, isUndecidedFill } from './fill-statement.js'
import { settleVariant } from './settle-statement.js'
import {
  committedSettlements,
  type SettledRow,
  settlementsOf,
  settleNeeds,
  settleParameters,
  type WrittenByRow,
} from './settlement.js'
import { toColumns } from './value.js'
import { defaultReadBytes } from './value-limit.js'
import {
  type NothingRow,
  type RemovedRow,
  removalsOf,
  type StoredRow,
  writeAnswersOf,
} from './written-row.js'

/** Row of an entry, or the one without a key. */
interface VersionRow {
  readonly key: string | null
  readonly version: Version
}

interface PositionRow {
  readonly epoch: Epoch
  readonly latest: string
  readonly has_mark: boolean
}

/** Names of the statements for one write of a form, and for several. */
const writeStatements = {
  plain: ['writeOne', 'writeMany'],
  grouped: ['writeOneGrouped', 'writeManyGrouped'],
  expiring: ['writeOneExpiring', 'writeManyExpiring'],
} as const

/**
 * Maximum number of statements for one conditional write. Each time, another transaction must have inserted the row at
 * that moment, unless a trigger leaves it out.
 */
const maxAttemptsToDecide = 10

const invalidParameterValue = '22023'

export interface PostgresStoreParts {
  readonly database: Database
  readonly attempts: Attempts
  readonly schema: SchemaName
  /** Maximum bytes of values that one statement returns. */
  readonly maxReadBytes?: number | undefined
}

/**
 * System of record. A call sends one statement for any number of keys; only `read` may send a second one, for large
 * values.
 * Statements that lock rows lock them in the order of their keys, so that two sidecars do not deadlock. Statements of
 * requests are retried where that is safe, and fail immediately while the breaker is open. Statements of the feed are
 * always sent, and close the breaker if they succeed.
 */
export class PostgresStore implements Store {
  readonly #database: Database
  readonly #attempts: Attempts
  readonly #schema: SchemaName
  readonly #maxReadBytes: number
  readonly #reads: EntryReads
  #statements: { readonly schema: string; readonly texts: EntryStatements } | undefined

  constructor({ database, attempts, schema, maxReadBytes = defaultReadBytes }: PostgresStoreParts) {
    this.#database = database
    this.#attempts = attempts
    this.#schema = schema
    this.#maxReadBytes = maxReadBytes
    this.#reads = new EntryReads({
      send: (name, values, part) => this.#read(name, values, part),
      maxReadBytes,
    })
  }

  read(wanted: readonly Wanted[], part?: BatchPart): Promise<EntryAnswers> {
    return this.#reads.read(wanted, part)
  }

  readAtOnce(wanted: readonly Wanted[], part?: BatchPart): Promise<EntryAnswers> {
    return this.#reads.readAtOnce(wanted, part)
  }

  /** Reads like `readAtOnce`, in the transaction of `send`. */
  async readIn(send: SnapshotRead, wanted: readonly Wanted[]): Promise<EntryAnswers> {
    const texts = await this.#texts()
    const reads = new EntryReads({
      send: (name, values) => send(texts[name], values),
      maxReadBytes: this.#maxReadBytes,
    })
    return reads.readAtOnce(wanted)
  }

  async versions(keys: readonly string[], epoch: Epoch): Promise<Map<string, Version> | undefined> {
    const { versions } = await this.#texts()
    const rows = await this.#database.read<VersionRow>(versions, [keys, epoch])
    this.#attempts.reached()
    if (rows.length === 0) return undefined
    return new Map(rows.flatMap(({ key, version }) => (key === null ? [] : [[key, version]])))
  }

  async write(writes: readonly Write[], part?: BatchPart): Promise<Map<string, WriteAnswer>> {
    const keys = writes.map(({ key }) => key)
    const columns = writes.map(toColumns)
    const texts = columns.map(({ text }) => text)
    const contentTypes = columns.map(({ contentType }) => contentType)
    const all = [keys, texts, contentTypes]
    const form = formOf(writes[0] ?? {})
    if (form === 'expiring') all.push(writes.map(({ ttlMs }) => String(ttlMs)))
    if (form !== 'plain') all.push(writes.map(({ groups }) => arrayLiteral(groups)))
    const [one, many] = writeStatements[form]
    // A sidecar with little traffic sends single writes; arrays would cost 15 µs more (bench/README.md).
    const isOne = writes.length === 1
    const values = isOne ? all.map(([first]) => first) : all
    return writeAnswersOf(await this.#write<StoredRow>(isOne ? one : many, values, writes.length, part))
  }

  /**
   * Deletes entries, and revokes the leases of their keys. A lease that is given after the first statement has begun is
   * not revoked, and need not be: its holder reads the data after the client has asked for the delete.
   */
  async remove(keys: readonly string[], part?: BatchPart): Promise<Map<string, RemoveAnswer>> {
    const send = () => this.#write<RemovedRow | NothingRow>('remove', [keys], keys.length, part)
    const rows = await send()
    const answers = removalsOf(keys, rows)
    const [{ are_leased, left_in } = { are_leased: false, left_in: null }] = rows
    if (are_leased) await this.#revoke(keys, part)
    // A value may have been stored under its lease before that. An entry that was not deleted may be gone by now.
    if (are_leased || left_in !== null)
      for (const [key, answer] of removalsOf(keys, await send()))
        if (answer.version !== undefined || answers.get(key)?.version === undefined) answers.set(key, answer)
    return answers
  }

  async writeIf(write: ConditionalWrite, part?: BatchPart): Promise<ConditionalAnswer> {
    if (write.lease !== undefined) return this.#fill(write, part)
    const name = conditionalName(write)
    let isRevoked = false
    for (let attempt = 1; ; attempt++) {
      const [row] = await this.#write<ConditionalRow>(name, conditionalParameters(write, isRevoked), 1, part)
      if (row === undefined) throw new Error('a conditional write returned no row')
      if (write.value === undefined && row.is_met && row.are_leased && !isRevoked) {
        await this.#revoke([write.key], part)
        isRevoked = true
      } else if (write.value === undefined || !isUndecided(row) || attempt === maxAttemptsToDecide)
        return conditionalAnswerOf(write.key, row)
    }
  }

  async #fill(write: ConditionalWrite, part: BatchPart | undefined): Promise<ConditionalAnswer> {
    const send = async () => {
      const [row] = await this.#write<FillRow>(fillName(write), fillParameters(write), 1, part)
      if (row === undefined) throw new Error('a write under a lease returned no row')
      return row
    }
    const row = await send()
    // Without the lease, the same statement writes nothing.
    const { may_be_present } = isUndecidedFill(row) ? await send() : row
    return fillAnswerOf(write.key, { ...row, may_be_present })
  }

  /** Ends the leases of keys, before their entries are deleted with a new snapshot. */
  async #revoke(keys: readonly string[], part: BatchPart | undefined): Promise<void> {
    await this.#write('revoke', [keys], keys.length, part)
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
    writes: readonly SentWrite[],
    onBegun: (transaction: Transaction) => void,
  ): Promise<Map<string, Settlement>> {
    const texts = await this.#texts()
    const statement = texts[settleVariant(settleNeeds(writes))]
    const onId = (id: string, epoch: Epoch) => onBegun({ id, epoch })
    const { transactionId } = texts
    const rows = await this.#database.transaction<SettledRow>(
      { transactionId, statement, onId },
      settleParameters(writes),
    )
    this.#attempts.reached()
    return settlementsOf(rows)
  }

  async outcomeOf(transaction: Transaction, writes: readonly SentWrite[]): Promise<TransactionOutcome> {
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
    const keys = writes.map(({ key }) => key)
    const rows = await this.#database.read<WrittenByRow>(writtenBy, [keys, transaction.id])
    return { settlements: committedSettlements(writes, rows) }
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
