/** SQL of type text: the transactions that are prepared for a two-phase commit, which every role may see. */
export const preparedTransactions = `(
  select coalesce(pg_catalog.string_agg(transaction::text, ' '::text), ''::text)
  from pg_prepared_xacts where database = current_database()
)`

/**
 * Transactions that were prepared when a session of the change feed began. What they have put into the outbox may be
 * lost, because they survive a crash, and the outbox does not:
 *
 *   1. A writer changes a row, and prepares its transaction.
 *   2. The server crashes. The outbox is empty. A sidecar is back, and compares all entries: the old value is right.
 *   3. The writer commits its prepared transaction.
 *   4. Nothing announces that.
 *
 * So when one of them has ended, everything is compared once more. A transaction that is prepared later is not of this
 * kind: a crash would end the session.
 */
export class PreparedTransactions {
  #pending: ReadonlySet<string>

  /** @param transactions as SQL has returned it before the comparison at the session's start */
  constructor(transactions: string) {
    this.#pending = setOf(transactions)
  }

  /** Returns true if one of them has ended since the last call. */
  hasEnded(transactions: string): boolean {
    if (this.#pending.size === 0) return false
    const now = setOf(transactions)
    const before = this.#pending
    this.#pending = new Set([...before].filter((one) => now.has(one)))
    return this.#pending.size < before.size
  }
}

function setOf(transactions: string): ReadonlySet<string> {
  return new Set(transactions === '' ? [] : transactions.split(' '))
}
