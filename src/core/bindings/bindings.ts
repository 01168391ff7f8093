import type { KeyPattern } from './key-pattern.js'

/** Keys that are answered from the rows of a table of the application (P16). */
export interface Binding {
  readonly pattern: KeyPattern
  /**
   * Hash of everything that can change answers without a change of rows: the definition of the binding, the columns of
   * the table and their types, its partitions, policies and triggers.
   */
  readonly fingerprint: string
  /** True if changes of the rows are announced through the outbox (P17). */
  readonly viaOutbox: boolean
}

/** A binding that cannot be used, and the reason in words that name no object of the database. */
export interface UnusableBinding {
  readonly pattern: string
  readonly reason: string
}

export interface BindingCounts {
  readonly usable: number
  readonly unusable: readonly UnusableBinding[]
}

/** The bindings as the database was last seen to have them. */
export interface Bindings {
  readonly counts: BindingCounts
  /** Returns the binding that covers a key; undefined if there is none, or before the first contact. */
  of(key: string): Binding | undefined
}

/** Returns the binding that covers a key; undefined if there is none. */
export function bindingOf<B extends Binding>(bindings: readonly B[], key: string): B | undefined {
  return bindings.find(({ pattern }) => pattern.covers(key))
}

export const noBindings: Bindings = { counts: { usable: 0, unusable: [] }, of: () => undefined }
