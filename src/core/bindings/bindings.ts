import type { KeyPattern } from './key-pattern.js'

/** Keys that are answered from the rows of a table of the application (P16). */
export interface Binding {
  readonly pattern: KeyPattern
  /**
   * Hash of everything that can change answers without a change of rows: the definition of the binding, the columns of
   * the table and their types, its partitions, policies and triggers.
   */
  readonly fingerprint: string
}

/** The bindings as the database was last seen to have them. */
export interface Bindings {
  /** Returns the binding that covers a key; undefined if there is none, or before the first contact. */
  of(key: string): Binding | undefined
}

export const noBindings: Bindings = { of: () => undefined }
