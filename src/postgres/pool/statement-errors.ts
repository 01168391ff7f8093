import pg from 'pg'
import type { CacheError, CacheErrorCode } from '../../core/errors.js'
import type { Log } from '../../core/ports.js'

const reportIntervalMs = 60_000
/** Bound on remembered kinds. Triggers choose states and names too, so there can be any number of kinds. */
const maxKinds = 1_000

interface Kind {
  reportedMs: number
  /** Number of errors since then. */
  unreported: number
}

/** Counts the errors that the database has answered with, and logs each kind at most once a minute. */
export class StatementErrors {
  readonly counts = new Map<CacheErrorCode, number>()
  readonly #log: Log
  readonly #now: () => number
  readonly #kinds = new Map<string, Kind>()

  constructor(log: Log, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
  }

  /** Counts and logs an error. Logs names of objects, but no message that may repeat data. */
  add(error: CacheError): void {
    const { code, message, cause } = error
    if (!(cause instanceof pg.DatabaseError)) return
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1)
    const { code: sqlState, schema, table, column, constraint, routine } = cause
    const names = { schema, table, column, constraint, routine }
    const kind = this.#kindOf(JSON.stringify([sqlState, names]))
    kind.unreported++
    if (this.#now() - kind.reportedMs < reportIntervalMs) return
    this.#log.warn({ reason: message, sqlState, ...names, times: kind.unreported }, 'database error')
    kind.reportedMs = this.#now()
    kind.unreported = 0
  }

  #kindOf(name: string): Kind {
    let kind = this.#kinds.get(name)
    if (kind === undefined) {
      if (this.#kinds.size >= maxKinds) this.#kinds.clear()
      kind = { reportedMs: Number.NEGATIVE_INFINITY, unreported: 0 }
      this.#kinds.set(name, kind)
    }
    return kind
  }
}
