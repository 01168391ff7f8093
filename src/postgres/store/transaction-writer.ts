import { CacheError, hasCode } from '../../core/errors.js'
import type { ConditionalAnswer, ConditionalWrite, TransactionWriter } from '../../core/ports.js'
import type { Attempts } from '../pool/attempts.js'
import type { Database } from '../pool/database.js'
import type { SchemaName } from '../schema/schema-name.js'
import { type ConditionalRow, conditionalAnswerOf } from './conditional-statement.js'
import { revocationIn } from './fill-leases.js'
import { transactionParameters, transactionStatement } from './transaction-statement.js'

export interface PostgresTransactionWriterParts {
  readonly database: Pick<Database, 'decide' | 'write'>
  readonly attempts: Attempts
  readonly schema: SchemaName
  /** Maximum time that the server may take for a statement. */
  readonly withinMs: number
}

/** The same as for one conditional write (store.ts). */
const maxAttemptsToDecide = 10

type Rows = readonly ConditionalRow[]

/** Writes several entries in one transaction of one statement. */
export class PostgresTransactionWriter implements TransactionWriter {
  readonly #parts: PostgresTransactionWriterParts

  constructor(parts: PostgresTransactionWriterParts) {
    this.#parts = parts
  }

  async writeAll(writes: readonly ConditionalWrite[]): Promise<readonly ConditionalAnswer[]> {
    let isRevoked = false
    const hasLease = (rows: Rows) => !isRevoked && rows.some(({ are_leased }) => are_leased)
    const mayCommit = (rows: Rows) => isMet(rows) && unwrittenIn(writes, rows) < 0 && !hasLease(rows)
    for (let attempt = 1; ; attempt++) {
      const rows = await this.#send(writes, mayCommit)
      if (!isMet(rows) || mayCommit(rows)) return answersOf(writes, rows)
      const unwritten = unwrittenIn(writes, rows)
      if (hasLease(rows)) {
        await this.#revoke(writes.filter(({ value }) => value === undefined).map(({ key }) => key))
        isRevoked = true
      } else if (rows[unwritten]?.is_present || attempt >= maxAttemptsToDecide)
        throw new CacheError('not-stored', 'a trigger or rule left a write out', {
          key: writes[unwritten]?.key,
        })
    }
  }

  async #send(writes: readonly ConditionalWrite[], mayCommit: (rows: Rows) => boolean): Promise<Rows> {
    try {
      return await this.#attempt(writes, mayCommit)
    } catch (error) {
      const key = hasCode(error, 'refused') ? await this.#culpritAmong(writes) : undefined
      if (key === undefined) throw error
      throw new CacheError('refused', (error as CacheError).message, { cause: error, key })
    }
  }

  /** Ends the leases of keys, before their entries are deleted with a new snapshot. */
  async #revoke(keys: readonly string[]): Promise<void> {
    const { database, attempts, schema } = this.#parts
    const attempt = async () => database.write(revocationIn(await schema.get()), [keys])
    await attempts.run(attempt).catch(schema.explain)
  }

  #attempt(writes: readonly ConditionalWrite[], mayCommit: (rows: Rows) => boolean): Promise<Rows> {
    const { database, attempts, schema, withinMs } = this.#parts
    const values = transactionParameters(writes)
    const attempt = async () =>
      database.decide<ConditionalRow>(transactionStatement(await schema.get()), values, mayCommit, withinMs)
    return attempts.run(attempt).catch(schema.explain)
  }

  /**
   * Returns the key of a write that the database refuses; undefined if it refuses none of them alone. Searches by
   * halves, and commits nothing.
   */
  async #culpritAmong(writes: readonly ConditionalWrite[]): Promise<string | undefined> {
    let suspects = writes
    while (suspects.length > 1) {
      const half = suspects.slice(0, suspects.length >> 1)
      suspects = (await this.#isRefused(half)) ? half : suspects.slice(half.length)
    }
    return suspects[0] && (await this.#isRefused(suspects)) ? suspects[0].key : undefined
  }

  async #isRefused(writes: readonly ConditionalWrite[]): Promise<boolean> {
    try {
      // Without conditions, so that it is the rows that are judged.
      await this.#attempt(
        writes.map((write) => ({ ...write, condition: {} })),
        () => false,
      )
      return false
    } catch (error) {
      if (hasCode(error, 'refused')) return true
      throw error
    }
  }
}

function isMet(rows: Rows): boolean {
  return rows.every(({ is_met }) => is_met)
}

/**
 * Returns the index of a write that was not made: another transaction has inserted the row meanwhile, or a trigger or
 * rule has left it out or renamed it. Negative if there is none.
 */
function unwrittenIn(writes: readonly ConditionalWrite[], rows: Rows): number {
  return rows.findIndex(
    ({ is_written, is_present }, index) => !is_written && (is_present || writes[index]?.value !== undefined),
  )
}

function answersOf(writes: readonly ConditionalWrite[], rows: Rows): readonly ConditionalAnswer[] {
  return writes.map(({ key }, index) => conditionalAnswerOf(key, rows[index] as ConditionalRow))
}
