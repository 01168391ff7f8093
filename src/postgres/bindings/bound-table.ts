import type { Binding } from '../../core/bindings/bindings.js'
import type { KeyType } from './column-value.js'

/** A binding with its table. */
export interface BoundTable extends Binding {
  /** Name of the table, qualified and quoted; undefined if it was dropped. */
  readonly table: string | undefined
  readonly keyColumns: readonly KeyColumn[]
  /** Columns of the answer; undefined for all. */
  readonly columns: readonly string[] | undefined
  /** Types of the columns of the answer, without repetition: names as format_type() returns them, and `enum`. */
  readonly columnTypes: readonly string[]
  /** Reason why the table cannot be read under these keys; undefined if it can. */
  readonly fault: BindingFault | undefined
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
  /** True if binding the table again as before removes the fault. */
  readonly isCuredByBinding?: true
}
