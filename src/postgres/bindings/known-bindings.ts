import { type BindingCounts, type Bindings, bindingOf } from '../../core/bindings/bindings.js'
import type { Clock, Log } from '../../core/ports.js'
import type { Database } from '../pool/database.js'
import type { SchemaName } from '../schema/schema-name.js'
import type { Query } from '../schema/table-inspection.js'
import { BindingCosts } from './binding-costs.js'
import { bindingsDigestIn, type FoundBindings, inspectBindings } from './binding-inspection.js'
import type { BoundSource } from './bound-source.js'

export interface KnownBindingsOptions {
  readonly maxStalenessMs: number
}

export interface KnownBindingsParts {
  readonly database: Pick<Database, 'read' | 'snapshot'>
  readonly schema: SchemaName
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

/** The bindings, as a session of the change feed has last seen them. */
export class KnownBindings implements Bindings {
  readonly #options: KnownBindingsOptions
  readonly #parts: KnownBindingsParts
  /** Counts the reads of each binding. */
  readonly costs: BindingCosts
  #found: FoundBindings | undefined
  /** Moment at which the database had these bindings. */
  #asOfMs = Number.NEGATIVE_INFINITY
  #inspect: () => void = () => undefined

  constructor(options: KnownBindingsOptions, parts: KnownBindingsParts) {
    this.#options = options
    this.#parts = parts
    this.costs = new BindingCosts(parts.clock)
  }

  of(key: string): BoundSource | undefined {
    return bindingOf(this.sources, key)
  }

  get counts(): BindingCounts {
    const unusable = this.sources.flatMap(({ pattern, fault }) =>
      fault ? [{ pattern: pattern.text, reason: fault.shown }] : [],
    )
    return { usable: this.sources.length - unusable.length, unusable }
  }

  /** The bindings as they were last seen; none before the first contact. */
  get sources(): readonly BoundSource[] {
    return this.#found?.sources ?? []
  }

  /**
   * The bindings, if a session has seen them within the bound on staleness; otherwise undefined. Without a session, a
   * key would be read for ever from a table that it is not bound to any more.
   */
  get current(): readonly BoundSource[] | undefined {
    const ageMs = this.#parts.clock.now() - this.#asOfMs
    return ageMs <= this.#options.maxStalenessMs ? this.#found?.sources : undefined
  }

  /** Returns the bindings that the database has now. Rejects with a CacheError. */
  async ask(): Promise<readonly BoundSource[]> {
    const { database, schema } = this.#parts
    const known = this.#found
    const asking = async () => {
      const name = await schema.get()
      if (known !== undefined) {
        const [row] = await database.read<{ digest: string }>(
          `select ${bindingsDigestIn(name)} as digest`,
          [],
        )
        if (row?.digest === known.digest) return known
      }
      return database.snapshot(async (send) => {
        await send('set local jit = off', [])
        return inspectBindings(((text: string) => send(text, [])) as Query, name)
      })
    }
    const { sources } = await asking().catch(schema.explain)
    return sources
  }

  /** Records what a session has found at a moment, and logs the faults that are new. */
  found(found: FoundBindings, asOfMs: number): void {
    const known = new Set(this.sources.map(({ fault }) => fault?.says))
    this.#found = found
    // An inspection beside the probes was sent before the last of them.
    this.#asOfMs = Math.max(this.#asOfMs, asOfMs)
    for (const { pattern, fault } of found.sources)
      if (fault && !known.has(fault.says))
        this.#parts.log.warn(
          { pattern: pattern.text, reason: fault.says, cure: fault.cure },
          'a binding cannot be used: its keys are answered with 503',
        )
  }

  /** Records that a probe, which was sent at that moment, has found the same bindings. */
  proven(asOfMs: number): void {
    this.#asOfMs = asOfMs
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
