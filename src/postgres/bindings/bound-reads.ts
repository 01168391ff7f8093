import type { Epoch, StoredEntry, Unchanged, Version, Withheld } from '../../core/entry.js'
import { CacheError, type CacheErrorCode, type CacheErrorOptions, hasCode } from '../../core/errors.js'
import type { BatchPart, Clock, Wanted } from '../../core/ports.js'
import { isReadTimeout } from '../pool/errors.js'
import type { EntryAnswers } from '../store/entry-reads.js'
import type { NothingRow } from '../store/written-row.js'
import { type BoundSource, isQuery } from './bound-source.js'
import { type BoundStatements, boundStatements, unknownVersion } from './bound-statements.js'
import { columnValue } from './column-value.js'
import type { KnownBindings } from './known-bindings.js'

/** A row that was read, or the one that has only the epoch. */
export type AnswerRow = BoundRow | NothingRow

/** Sends a statement, and resolves to its rows. */
export type SendBound = (text: string, values: unknown[], part?: BatchPart) => Promise<readonly AnswerRow[]>

interface BoundRow {
  readonly key: string
  readonly version: Version
  readonly epoch: Epoch
  readonly value: string | null
  readonly withheld: Withheld['withheld'] | null
}

/** Errors that concern one table or query, and not the database. */
const ofTheSource: readonly CacheErrorCode[] = ['store-failed', 'forbidden', 'refused', 'store-not-ready']
/** Errors of a statement for which the server had no time, or whose table is locked. */
const notInTime: readonly CacheErrorCode[] = ['store-busy', 'store-locked', 'row-locked']
/** Time for which versions of a binding are not asked for, after they could not be found in time. */
const notAskedMs = 30_000

/** Reads the answers of bound tables and queries. */
export class BoundReads {
  readonly #bindings: Pick<KnownBindings, 'outdated' | 'costs'>
  readonly #maxReadBytes: number
  readonly #clock: Pick<Clock, 'now'>
  /** Moments until which the versions of a binding are not asked for. */
  readonly #notAskedUntilMs = new WeakMap<BoundSource, number>()
  /** Statements for each binding, as long as it is the same. */
  readonly #statements = new WeakMap<
    BoundSource,
    { readonly schema: string; readonly texts: BoundStatements }
  >()

  constructor(
    bindings: Pick<KnownBindings, 'outdated' | 'costs'>,
    maxReadBytes: number,
    clock: Pick<Clock, 'now'>,
  ) {
    this.#bindings = bindings
    this.#maxReadBytes = maxReadBytes
    this.#clock = clock
  }

  /** Reads answers of one binding, with at most `roomBytes` of values. Rejects with a CacheError. */
  async read(
    schema: string,
    bound: BoundSource,
    wanted: readonly Wanted[],
    {
      send,
      part,
      roomBytes,
    }: { readonly send: SendBound; readonly part?: BatchPart | undefined; readonly roomBytes: number },
  ): Promise<EntryAnswers> {
    const keyed = wanted.flatMap(({ key, held }) => this.#keyed(bound, key, held?.version ?? ''))
    const texts = this.#textsOf(schema, bound)
    const [one] = keyed
    const isOne = keyed.length === 1 && one !== undefined && roomBytes === this.#maxReadBytes
    const text = isOne ? texts.readOne : texts.read
    const values = isOne
      ? [one.key, ...one.values, one.held]
      : [...columnsOf(bound, keyed), keyed.map(({ held }) => held), roomBytes]
    const rows = await this.#bindings.costs.counted(bound.pattern.text, wanted.length, () =>
      this.#send(bound, text, values, send, part),
    )
    const { epoch } = rows[0] as AnswerRow
    const answers: EntryAnswers = new Map()
    const { viaOutbox } = bound
    const remainingMs = isQuery(bound) ? bound.ttlMs : undefined
    for (const row of rows)
      if (row.key !== null) answers.set(row.key, entryOf(row as BoundRow, viaOutbox, remainingMs))
    for (const { key } of wanted)
      if (!answers.has(key)) answers.set(key, { version: undefined, epoch, viaOutbox, remainingMs })
    return answers
  }

  /**
   * Returns the versions of answers of one binding; undefined if the primary has another epoch. A binding that cannot
   * be read must not end the feed, so all its versions are unknown then. Nor must one that takes too long, because its
   * query is slow for so many keys, or somebody has locked its table: it would end the next session as well.
   */
  async versions(
    schema: string,
    bound: BoundSource,
    keys: readonly string[],
    { send, epoch }: { readonly send: SendBound; readonly epoch: Epoch },
  ): Promise<ReadonlyMap<string, Version> | undefined> {
    const unknown = () => new Map(keys.map((key) => [key, unknownVersion]))
    if (this.#clock.now() < (this.#notAskedUntilMs.get(bound) ?? 0)) return unknown()
    const keyed = keys.flatMap((key) => this.#keyed(bound, key, ''))
    try {
      const values = [...columnsOf(bound, keyed), epoch]
      const rows = await this.#send(bound, this.#textsOf(schema, bound).versions, values, send)
      if (rows.length === 0) return undefined
      return new Map(rows.flatMap((row) => (row.key === null ? [] : [[row.key, (row as BoundRow).version]])))
    } catch (error) {
      // A server that does not answer at all has told nothing about the binding.
      const isLate = hasCode(error, ...notInTime) && !isReadTimeout(error)
      if (!isLate && !hasCode(error, 'binding-unusable')) throw error
      if (isLate) this.#notAskedUntilMs.set(bound, this.#clock.now() + notAskedMs)
      return unknown()
    }
  }

  /** Returns the key with the values of its columns, in a list that is empty if no row can have it. */
  #keyed({ pattern, keyColumns }: BoundSource, key: string, held: Version): readonly KeyedRow[] {
    const texts = pattern.valuesIn(key) ?? []
    const values = keyColumns.map(({ type }, index) => columnValue(texts[index] ?? '', type))
    return values.every((value) => value !== undefined) ? [{ key, values: values as string[], held }] : []
  }

  #textsOf(schema: string, bound: BoundSource): BoundStatements {
    const known = this.#statements.get(bound)
    if (known?.schema === schema) return known.texts
    const texts = boundStatements(schema, bound, this.#maxReadBytes)
    this.#statements.set(bound, { schema, texts })
    return texts
  }

  async #send(
    bound: BoundSource,
    text: string,
    values: unknown[],
    send: SendBound,
    part?: BatchPart,
  ): Promise<readonly AnswerRow[]> {
    const { fault } = bound
    if (fault) throw unusable(bound, fault.shown, fault.says, { isOfWholeStatement: true })
    try {
      return await send(text, values, part)
    } catch (error) {
      if (!hasCode(error, ...ofTheSource)) throw error
      // An error of one key, such as a division by zero: the others can be read without it.
      if (!error.isOfWholeStatement && (isQuery(bound) || hasCode(error, 'refused'))) {
        const shown = isQuery(bound) ? 'its query fails for this key' : 'its row cannot be read'
        throw unusable(bound, shown, error.message, { cause: error })
      }
      // Another inspection will find what is wrong, or that the table has changed.
      this.#bindings.outdated()
      const shown = `its ${isQuery(bound) ? 'query' : 'table'} cannot be read as it was when it was last inspected`
      throw unusable(bound, shown, error.message, { cause: error, isOfWholeStatement: true })
    }
  }
}

interface KeyedRow {
  readonly key: string
  readonly values: readonly string[]
  readonly held: Version
}

/** Returns the keys, and a column for each key column. */
function columnsOf({ keyColumns }: BoundSource, keyed: readonly KeyedRow[]): unknown[] {
  return [
    keyed.map(({ key }) => key),
    ...keyColumns.map((_column, index) => keyed.map(({ values }) => values[index])),
  ]
}

function entryOf(
  { key, version, epoch, value, withheld }: BoundRow,
  viaOutbox: boolean,
  remainingMs: number | undefined,
): StoredEntry | Unchanged | Withheld {
  if (withheld !== null) return { key, version, epoch, value: undefined, withheld }
  if (value === null)
    return { key, version, epoch, value: undefined, remainingMs, isComparable: true, viaOutbox }
  return { key, version, epoch, value, remainingMs, isComparable: true, viaOutbox }
}

function unusable(
  bound: BoundSource,
  shown: string,
  message: string,
  options: Pick<CacheErrorOptions, 'cause' | 'isOfWholeStatement'>,
): CacheError {
  const { text } = bound.pattern
  return new CacheError('binding-unusable', `${text}: ${message}`, {
    ...options,
    explanation: `The key is bound to a ${isQuery(bound) ? 'query' : 'table'} by ${text}, and ${shown}`,
  })
}
