import type { Absent, StoredEntry, Unchanged, Withheld } from '../../core/entry.js'
import type { BatchPart, Wanted } from '../../core/ports.js'
import { type EntryRow, entriesOf, wantedColumns } from './entry-row.js'
import type { EntryStatements } from './entry-statements.js'
import type { NothingRow } from './written-row.js'

type Row = EntryRow | NothingRow

export interface EntryReadsParts {
  /** Sends one of the statements. */
  readonly send: (name: keyof EntryStatements, values: unknown[], part?: BatchPart) => Promise<Row[]>
  /** Maximum bytes of values that one statement returns. */
  readonly maxReadBytes: number
}

export type EntryAnswers = Map<string, StoredEntry | Unchanged | Withheld | Absent>

/** Reads entries, with the statement that fits what is wanted. */
export class EntryReads {
  readonly #parts: EntryReadsParts

  constructor(parts: EntryReadsParts) {
    this.#parts = parts
  }

  async read(wanted: readonly Wanted[], part?: BatchPart): Promise<EntryAnswers> {
    return entriesOf(wanted, await this.#rowsOf(wanted, part))
  }

  /** Reads in one statement. It adds up the lengths of all values, whether they are small or not. */
  async readAtOnce(wanted: readonly Wanted[], part?: BatchPart): Promise<EntryAnswers> {
    const { send, maxReadBytes } = this.#parts
    const rows = isAnyHeld(wanted)
      ? await send('readWhatIsNotHeld', wantedColumns(wanted), part)
      : await send('readLarge', [wanted.map(({ key }) => key), maxReadBytes], part)
    return entriesOf(wanted, rows)
  }

  #rowsOf(wanted: readonly Wanted[], part: BatchPart | undefined): Promise<Row[]> {
    const { send } = this.#parts
    if (isAnyHeld(wanted)) return send('readWhatIsNotHeld', wantedColumns(wanted), part)
    if (wanted.length === 1) return send('readOne', [wanted[0]?.key], part)
    return this.#readMany(
      wanted.map(({ key }) => key),
      part,
    )
  }

  /**
   * Reads many keys. Values are nearly always small, and adding up their lengths takes a sixth of the statement's time.
   * So the first statement compares each length with an equal share of the room. The second one reads the larger values
   * with the room that is left, which is all of it if the first one returned no value. So at least one value is
   * returned.
   */
  async #readMany(keys: readonly string[], part: BatchPart | undefined): Promise<Row[]> {
    const { send, maxReadBytes } = this.#parts
    const share = Math.floor(maxReadBytes / keys.length)
    const rows = await send('readMany', [keys, share], part)
    const large = new Set<string>()
    for (const row of rows) if (row.key !== null && row.withheld === 'postponed') large.add(row.key)
    if (large.size === 0) return rows
    const found = rows.filter(({ key }) => key === null || !large.has(key))
    const bytes = found.reduce(
      (sum, row) => sum + (row.key === null ? 0 : Buffer.byteLength(row.value ?? '')),
      0,
    )
    const rest = await send('readLarge', [[...large], maxReadBytes - bytes], part)
    return [...found, ...rest]
  }
}

function isAnyHeld(wanted: readonly Wanted[]): boolean {
  return wanted.some(({ held }) => held !== undefined)
}
