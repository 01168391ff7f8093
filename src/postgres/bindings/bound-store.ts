import { bindingOf } from '../../core/bindings/bindings.js'
import { requireUnbound } from '../../core/bindings/require-unbound.js'
import type { Epoch, Mark, Transaction, Version } from '../../core/entry.js'
import { CacheError } from '../../core/errors.js'
import type { BatchPart, Clock, ConditionalWrite, SentWrite, Store, Wanted, Write } from '../../core/ports.js'
import type { Attempts } from '../pool/attempts.js'
import type { Database } from '../pool/database.js'
import { withTimeout } from '../pool/with-timeout.js'
import type { SchemaName } from '../schema/schema-name.js'
import type { EntryAnswers } from '../store/entry-reads.js'
import type { PostgresStore } from '../store/store.js'
import { type AnswerRow, BoundReads, type SendBound } from './bound-reads.js'
import type { BoundSource } from './bound-source.js'
import { isRowVersion } from './bound-statements.js'
import type { KnownBindings } from './known-bindings.js'

export interface BoundStoreParts {
  readonly entries: PostgresStore
  readonly bindings: KnownBindings
  readonly database: Database
  readonly attempts: Attempts
  readonly clock: Pick<Clock, 'now'>
  readonly schema: SchemaName
  /** Time that a statement may wait for a connection, and again for its answer. */
  readonly timeoutMs: number
  /** Maximum bytes of values that one statement returns. */
  readonly maxReadBytes: number
}

const noBindingsInTime = 'the database did not tell its bindings in time'
const noAnswerInTime = 'the database told its bindings, and did not answer in time after that'

/** Keys by the binding that covers them; undefined for cache_entries. */
type BySource = ReadonlyMap<BoundSource | undefined, readonly Wanted[]>

/** The store with the bindings beside its entries. Keys that a binding covers are read from its table or query. */
export class BoundStore implements Store {
  readonly #parts: BoundStoreParts
  readonly #reads: BoundReads

  constructor(parts: BoundStoreParts) {
    this.#parts = parts
    this.#reads = new BoundReads(parts.bindings, parts.maxReadBytes, parts.clock)
  }

  async read(wanted: readonly Wanted[], part?: BatchPart): Promise<EntryAnswers> {
    if (this.#parts.bindings.current?.length === 0) return this.#parts.entries.read(wanted.map(asEntry), part)
    return this.#inTime(async () => {
      const sources = await this.#bySource(wanted)
      const answers = await Promise.all([...sources].map(([bound, some]) => this.#read(bound, some, part)))
      return merged(answers)
    })
  }

  readAtOnce(wanted: readonly Wanted[], part?: BatchPart): Promise<EntryAnswers> {
    return this.#inTime(async () => {
      const sources = await this.#bySource(wanted)
      const [[bound, some] = [undefined, wanted]] = sources
      if (sources.size > 1) return this.#readSnapshot(sources, part)
      return bound === undefined ? this.#parts.entries.readAtOnce(some, part) : this.#read(bound, some, part)
    })
  }

  async versions(keys: readonly string[], epoch: Epoch): Promise<ReadonlyMap<string, Version> | undefined> {
    const { entries } = this.#parts
    const sources = await this.#bySource(keys.map((key) => ({ key })))
    const all: ReadonlyMap<string, Version>[] = []
    for (const [bound, some] of sources) {
      const names = some.map(({ key }) => key)
      const found = await (bound === undefined
        ? entries.versions(names, epoch)
        : this.#reads.versions(await this.#parts.schema.get(), bound, names, {
            send: this.#sendOfFeed,
            epoch,
          }))
      if (found === undefined) return undefined
      all.push(found)
    }
    return merged(all)
  }

  async write(writes: readonly Write[], part?: BatchPart) {
    await this.#requireUnbound(writes)
    return this.#parts.entries.write(writes, part)
  }

  async remove(keys: readonly string[], part?: BatchPart) {
    await this.#requireUnbound(keys.map((key) => ({ key })))
    return this.#parts.entries.remove(keys, part)
  }

  async writeIf(write: ConditionalWrite, part?: BatchPart) {
    await this.#requireUnbound([write])
    return this.#parts.entries.writeIf(write, part)
  }

  lockedOf(keys: readonly string[]) {
    return this.#parts.entries.lockedOf(keys)
  }

  position(mark?: Mark) {
    return this.#parts.entries.position(mark)
  }

  mark() {
    return this.#parts.entries.mark()
  }

  settle(writes: readonly SentWrite[], onBegun: (transaction: Transaction) => void) {
    return this.#parts.entries.settle(writes, onBegun)
  }

  outcomeOf(transaction: Transaction, writes: readonly SentWrite[]) {
    return this.#parts.entries.outcomeOf(transaction, writes)
  }

  /** Throws if a key is bound. The cache has found out before, unless it has had no contact with the database yet. */
  async #requireUnbound(items: readonly { readonly key: string }[]): Promise<void> {
    const tables = this.#parts.bindings.current ?? (await this.#ask())
    if (tables.length === 0) return
    const bindings = { of: (key: string) => bindingOf(tables, key) }
    for (const { key } of items) requireUnbound(bindings, key)
  }

  async #bySource(items: readonly Wanted[]): Promise<BySource> {
    const tables = this.#parts.bindings.current ?? (await this.#ask())
    const sources = new Map<BoundSource | undefined, Wanted[]>()
    for (const item of items) {
      const bound = bindingOf(tables, item.key)
      const wanted = bound === undefined ? asEntry(item) : item
      const some = sources.get(bound)
      if (some) some.push(wanted)
      else sources.set(bound, [wanted])
    }
    return sources
  }

  /**
   * Asks the database for the bindings, because no session of the change feed has confirmed them for too long. A write
   * is sent after that, and has all of its time.
   */
  #ask(): Promise<readonly BoundSource[]> {
    const { bindings, attempts, timeoutMs } = this.#parts
    const asking = attempts.run(() => bindings.ask())
    return withTimeout(timeoutMs / 2, asking, noBindingsInTime).catch(busyOf)
  }

  /** Calls `read`. If it has to ask for the bindings first, both together get the time that a read has. */
  #inTime<T>(read: () => Promise<T>): Promise<T> {
    const { bindings, timeoutMs } = this.#parts
    return bindings.current ? read() : withTimeout(2 * timeoutMs, read(), noAnswerInTime).catch(busyOf)
  }

  async #read(
    bound: BoundSource | undefined,
    wanted: readonly Wanted[],
    part?: BatchPart,
  ): Promise<EntryAnswers> {
    const { entries, schema, maxReadBytes: roomBytes } = this.#parts
    if (bound === undefined) return entries.read(wanted, part)
    return this.#reads.read(await schema.get(), bound, wanted, { send: this.#send, part, roomBytes })
  }

  /**
   * Reads from several sources in one snapshot. Values of one have the room that those before it have left. The entries
   * come first, because their statement has all of the room.
   */
  #readSnapshot(sources: BySource, part: BatchPart | undefined): Promise<EntryAnswers> {
    const { database, attempts, schema, entries, maxReadBytes } = this.#parts
    const inOrder = [...sources].sort(([a], [b]) => Number(a !== undefined) - Number(b !== undefined))
    const attempt = async () => {
      const name = await schema.get()
      return database.snapshot(async (send) => {
        const all: EntryAnswers[] = []
        let roomBytes = maxReadBytes
        for (const [bound, wanted] of inOrder) {
          const answers = await (bound === undefined
            ? entries.readIn(send, wanted)
            : this.#reads.read(name, bound, wanted, { send: send<AnswerRow>, roomBytes }))
          roomBytes -= bytesOf(answers)
          all.push(answers)
        }
        return merged(all)
      }, part?.withinMs)
    }
    return attempts.run(attempt).catch(schema.explain)
  }

  /** Sends a statement of a request. */
  readonly #send: SendBound = (text, values, part) => {
    const { database, attempts, schema } = this.#parts
    return attempts.run(() => database.read<AnswerRow>(text, values, part?.withinMs)).catch(schema.explain)
  }

  /** Sends a statement of the change feed, which is sent even if those of requests fail. */
  readonly #sendOfFeed: SendBound = async (text, values) => {
    const { database, attempts } = this.#parts
    const rows = await database.read<AnswerRow>(text, values)
    attempts.reached()
    return rows
  }
}

/** Throws a CacheError for work that failed, or was not done in time. */
function busyOf(error: unknown): never {
  throw error instanceof CacheError ? error : new CacheError('store-busy', (error as Error).message)
}

/** Returns the key without a row that is held from the time when it was bound. Its version is none of an entry. */
function asEntry(wanted: Wanted): Wanted {
  return wanted.held && isRowVersion(wanted.held.version) ? { key: wanted.key } : wanted
}

function merged<V>(maps: readonly ReadonlyMap<string, V>[]): Map<string, V> {
  const [only] = maps
  return maps.length === 1 && only ? (only as Map<string, V>) : new Map(maps.flatMap((map) => [...map]))
}

function bytesOf(answers: EntryAnswers): number {
  let bytes = 0
  for (const { value } of answers.values() as Iterable<{ readonly value?: string }>)
    bytes += value === undefined ? 0 : Buffer.byteLength(value)
  return bytes
}
