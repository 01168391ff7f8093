import { type BindingCounts, type Bindings, noBindings } from '../../core/bindings/bindings.js'
import type { Log } from '../../core/ports.js'
import type { Database } from '../pool/database.js'
import type { SchemaName } from '../schema/schema-name.js'
import type { Query } from '../schema/table-inspection.js'
import { type FoundBindings, inspectBindings } from './binding-inspection.js'
import type { BoundTable } from './bound-table.js'

export interface KnownBindingsParts {
  readonly database: Pick<Database, 'read'>
  readonly schema: SchemaName
  readonly log: Log
}

/** The bindings, as a session of the change feed has last seen them. */
export class KnownBindings implements Bindings {
  readonly #parts: KnownBindingsParts
  #tables: readonly BoundTable[] | undefined
  #counts: BindingCounts = noBindings.counts
  #inspect: () => void = () => undefined

  constructor(parts: KnownBindingsParts) {
    this.#parts = parts
  }

  of(key: string): BoundTable | undefined {
    return this.#tables?.find(({ pattern }) => pattern.covers(key))
  }

  get counts(): BindingCounts {
    return this.#counts
  }

  /** The bindings; none before the first contact. */
  get tables(): readonly BoundTable[] {
    return this.#tables ?? []
  }

  /** Returns the bindings. Before a session has found them, asks the pool. Rejects with a CacheError. */
  get(): readonly BoundTable[] | Promise<readonly BoundTable[]> {
    return this.#tables ?? this.#ask()
  }

  async #ask(): Promise<readonly BoundTable[]> {
    const { database, schema } = this.#parts
    const name = await schema.get()
    const { tables } = await inspectBindings(database.read.bind(database) as Query, name).catch(
      schema.explain,
    )
    return tables
  }

  /** Records what a session has found, and logs the faults that are new. */
  found({ tables }: FoundBindings): void {
    const known = new Set(this.tables.map(({ fault }) => fault?.says))
    this.#tables = tables
    const unusable = tables.flatMap(({ pattern, fault }) =>
      fault ? [{ pattern: pattern.text, reason: fault.shown }] : [],
    )
    this.#counts = { usable: tables.length - unusable.length, unusable }
    for (const { pattern, fault } of tables)
      if (fault && !known.has(fault.says))
        this.#parts.log.warn(
          { pattern: pattern.text, reason: fault.says, cure: fault.cure },
          'a binding cannot be used: its keys are answered with 503',
        )
  }

  /** Sets what inspects the bindings again. */
  onOutdated(inspect: () => void): void {
    this.#inspect = inspect
  }

  /** Asks for another inspection, because a table is not what the last one found. */
  outdated(): void {
    this.#inspect()
  }
}
