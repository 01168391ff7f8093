import type {
  Change,
  Epoch,
  KeptWrite,
  StoredEntry,
  Unchanged,
  Value,
  Version,
  Written,
} from '../../src/core/entry.js'
import { keyId } from '../../src/core/key-id.js'
import type { Position, Settlement, Wanted, Write } from '../../src/core/ports.js'

interface Row {
  readonly value: Value
  readonly version: number
}

/** While this was the value (undefined: no entry), by the driven clock. */
export interface Reign {
  readonly value: Value | undefined
  /** Undefined before the first write, and for what a failover brought back. */
  readonly written: Written | undefined
  readonly fromMs: number
  untilMs: number
}

/** What is on its way to one listener, in commit order; a probe's answer is in line with the changes. */
export type Delivery = Change | { readonly kind: 'probe'; readonly sentMs: number }

/** One database, as the sidecars see PostgreSQL, with its whole history for those who check. */
export class SimulatedDatabase {
  readonly #nowMs: () => number
  readonly #reigns = new Map<string, Reign[]>()
  readonly listeners = new Set<Delivery[]>()
  #rows = new Map<string, Row>()
  #sequence = 0
  #timeline = 1
  /** The state after each commit, for a failover that loses some. */
  #states: { key: string; rows: Map<string, Row>; sequence: number }[] = [
    { key: 'none', rows: new Map(), sequence: 0 },
  ]

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  get epoch(): Epoch {
    return `1-0000000${this.#timeline}`
  }

  value(key: string): Value | undefined {
    return this.#rows.get(key)?.value
  }

  reigns(key: string): readonly Reign[] {
    return (
      this.#reigns.get(key) ?? [
        {
          value: undefined,
          written: undefined,
          fromMs: Number.NEGATIVE_INFINITY,
          untilMs: Number.POSITIVE_INFINITY,
        },
      ]
    )
  }

  /** In this history, so far. */
  get commits(): number {
    return this.#states.length - 1
  }

  rowsAfter(commits: number): ReadonlyMap<string, Row> {
    return this.#states[commits]?.rows ?? new Map()
  }

  read(
    wanted: readonly Wanted[],
    rows: ReadonlyMap<string, Row> = this.#rows,
    epoch = this.epoch,
  ): Map<string, StoredEntry | Unchanged> {
    const found = new Map<string, StoredEntry | Unchanged>()
    for (const { key, held } of wanted) {
      const row = rows.get(key)
      if (!row) continue
      const version = String(row.version)
      const unchanged = held?.version === version && held.epoch === epoch
      const value = unchanged ? undefined : row.value
      found.set(key, { key, version, epoch, remainingMs: undefined, value } as StoredEntry | Unchanged)
    }
    return found
  }

  versions(keys: readonly string[], epoch: Epoch): Map<string, Version> {
    const found = new Map<string, Version>()
    for (const key of keys) {
      const row = this.#rows.get(key)
      if (row && epoch === this.epoch) found.set(key, String(row.version))
    }
    return found
  }

  position(): Position {
    return { epoch: this.epoch, latest: BigInt(this.#sequence) }
  }

  write(writes: readonly Write[]): Map<string, Written> {
    return new Map(
      writes.map(({ key, value }) => [key, { version: this.#commit(key, value), epoch: this.epoch }]),
    )
  }

  remove(keys: readonly string[]): Map<string, Written> {
    const there = keys.filter((key) => this.#rows.has(key))
    return new Map(there.map((key) => [key, { version: this.#commit(key, undefined), epoch: this.epoch }]))
  }

  settle(writes: readonly KeptWrite[], epoch: Epoch): Map<string, Settlement> {
    const settled = new Map<string, Settlement>()
    if (epoch !== this.epoch) return settled
    for (const { key, value, base, mayHaveHappened } of writes) {
      const row = this.#rows.get(key)
      const unchanged =
        base.kind === 'held'
          ? row && String(row.version) === base.version
          : row === undefined
            ? !mayHaveHappened
            : row.version <= base.latest
      if (!unchanged) continue
      const version = value === undefined && !row ? undefined : this.#commit(key, value)
      settled.set(key, { kind: 'written', version })
    }
    return settled
  }

  /** A statement too large to name its keys: all rows are written again. */
  rewriteEverything(value: (key: string) => Value): void {
    for (const key of [...this.#rows.keys()]) this.#store(key, value(key))
    this.#announce({ kind: 'everything' })
  }

  /** A role of the database sends a notification of its own: nothing changed, or not yet. */
  forge(kind: 'next version' | 'high version' | 'everything', key: string): void {
    const version = kind === 'next version' ? this.#sequence + 1 : this.#sequence + 1_000
    this.#announce(
      kind === 'everything' ? { kind } : { kind: 'key', id: keyId(key), version: String(version) },
    )
  }

  /** A standby is promoted that lacks the last commits, whose keys it returns. Listeners hear nothing more, and are not told. */
  failOver(lostCommits: number): string[] {
    const kept = this.#states.slice(0, Math.max(1, this.#states.length - lostCommits))
    const lost = this.#states.slice(kept.length).map(({ key }) => key)
    const { rows, sequence } = kept.at(-1) as (typeof kept)[number]
    for (const key of new Set([...this.#rows.keys(), ...rows.keys()])) {
      if (rows.get(key)?.value !== this.#rows.get(key)?.value)
        this.#reign(key, rows.get(key)?.value, undefined)
    }
    this.#states = kept
    this.#rows = new Map(rows)
    this.#sequence = sequence
    this.#timeline++
    this.listeners.clear()
    return lost
  }

  #commit(key: string, value: Value | undefined): Version {
    const version = this.#store(key, value)
    this.#announce({ kind: 'key', id: keyId(key), version })
    return version
  }

  #store(key: string, value: Value | undefined): Version {
    const before = this.#rows.get(key)
    if (value !== undefined) this.#rows.set(key, { value, version: ++this.#sequence })
    else this.#rows.delete(key)
    this.#states.push({ key, rows: new Map(this.#rows), sequence: this.#sequence })
    const version = value === undefined ? `-${before?.version}` : String(this.#sequence)
    this.#reign(key, value, { version, epoch: this.epoch })
    return version
  }

  #reign(key: string, value: Value | undefined, written: Written | undefined): void {
    const reigns = [...this.reigns(key)]
    const last = reigns.at(-1) as Reign
    last.untilMs = this.#nowMs()
    reigns.push({ value, written, fromMs: this.#nowMs(), untilMs: Number.POSITIVE_INFINITY })
    this.#reigns.set(key, reigns)
  }

  #announce(change: Change): void {
    for (const deliveries of this.listeners) deliveries.push(change)
  }
}
