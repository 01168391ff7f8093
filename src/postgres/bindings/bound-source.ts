import type { Binding } from '../../core/bindings/bindings.js'
import type { KeyType } from './column-value.js'

/** A binding with what its keys are read from. */
export type BoundSource = BoundTable | BoundQuery

interface BoundKeys extends Binding {
  /** The names in the pattern with the types of their values. */
  readonly keyColumns: readonly KeyColumn[]
  /** Types in the answer, without repetition: names as format_type() returns them, and `enum`. */
  readonly columnTypes: readonly string[]
  /** Reason why the keys cannot be read; undefined if they can. */
  readonly fault: BindingFault | undefined
}

/** A binding with its table (P16). */
export interface BoundTable extends BoundKeys {
  /** Name of the table, qualified and quoted; undefined if it was dropped. */
  readonly table: string | undefined
  /** Columns of the answer; undefined for all. */
  readonly columns: readonly string[] | undefined
}

/** A binding with its query (P18). */
export interface BoundQuery extends BoundKeys {
  /** Name of the function that has the query, qualified and quoted; undefined if it was dropped. */
  readonly query: string | undefined
  /** True if the answer is an array of all rows. */
  readonly isMany: boolean
  /** Longest time for which an answer is held; undefined for no limit. */
  readonly ttlMs: number | undefined
}

export interface KeyColumn {
  readonly name: string
  readonly type: KeyType
}

export interface BindingFault {
  /** The fault in words, for the log and for doctor. */
  readonly says: string
  readonly cure: string
  /** The fault in words that name no object of the database, for clients. */
  readonly shown: string
  /** True if binding the table or the query again as before removes the fault. */
  readonly isCuredByBinding?: true
}

/** Returns true if a binding reads a query. */
export function isQuery(bound: BoundSource): bound is BoundQuery {
  return 'query' in bound
}
