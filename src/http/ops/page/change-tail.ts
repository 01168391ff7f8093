import type { ChangeLog, LoggedChange } from '../../../core/changes/change-log.js'
import { type Version, versionOfNone } from '../../../core/entry.js'
import { keyHash } from '../../../core/state/key-hash.js'
import { isHashed } from '../../../core/state/key-id.js'
import type { ChangeRow, Changes } from './page-data.js'

/** Number of changes that are remembered and shown. */
const tailLength = 200
/** Number of digits of a hash that are shown. */
const hashDigits = 16

export interface ChangeTailSources {
  readonly changeLog: ChangeLog
  readonly keys: 'on' | 'hash'
  /** Returns true if this sidecar has made a recent change that has this version. */
  readonly isOwn: (version: Version) => boolean
  /** Returns true if the key belongs to a binding. */
  readonly isBound: (key: string) => boolean
}

/** The last changes, with the times at which they were noticed here. The log of changes itself has no times. */
export class ChangeTail {
  readonly #log: ChangeLog
  readonly #isHashed: boolean
  readonly #sources: ChangeTailSources
  readonly #rows: ChangeRow[] = []
  /** Number of the last change that was seen. */
  #seen: number
  #generation: number

  constructor(sources: ChangeTailSources) {
    const { changeLog: log, keys } = sources
    this.#sources = sources
    this.#log = log
    this.#isHashed = keys === 'hash'
    this.#seen = log.last
    this.#generation = log.generation
  }

  /** The last changes, oldest first. */
  get rows(): readonly ChangeRow[] {
    return this.#rows
  }

  /** Takes over new changes of the log, noticed at a Unix time in ms. Returns them, as far as they are remembered. */
  advance(atMs: number): Changes {
    const { last, generation } = this.#log
    const isGap = generation !== this.#generation
    const since = this.#log.since(Math.max(this.#seen, last - tailLength)) ?? this.#sinceGap()
    const rows = since.map((change) => this.#row(change, atMs))
    // The first gap is the start, before which there is nothing that could have been missed.
    if (isGap && this.#generation > 0) rows.unshift({ atMs, operation: 'gap' })
    const skipped = isGap ? 0 : last - this.#seen - rows.length
    this.#seen = last
    this.#generation = generation
    this.#rows.push(...rows)
    this.#rows.splice(0, this.#rows.length - tailLength)
    return { rows, skipped }
  }

  /** Returns the changes after the last gap. Called if that gap is among the last changes, so they are few. */
  #sinceGap(): readonly LoggedChange[] {
    const log = this.#log
    let first = log.last
    while (log.has(first - 1)) first--
    return log.since(first) ?? []
  }

  #row({ id, version }: LoggedChange, atMs: number): ChangeRow {
    const change = { atMs, ...this.#kindOf(id, version) }
    // A key beyond 512 bytes is only known by its hash.
    const isLong = isHashed(id)
    if (!this.#isHashed && !isLong) return { ...change, key: id }
    const hash = isLong ? id.slice(1) : keyHash(id)
    return { ...change, key: hash.slice(0, hashDigits), isHash: true }
  }

  #kindOf(id: string, version: Version): Pick<ChangeRow, 'operation' | 'origin'> {
    const { isOwn, isBound } = this.#sources
    if (version === versionOfNone) {
      // Rows of bound tables are changed by SQL only.
      return isHashed(id) || isBound(id) ? { operation: 'row', origin: 'sql' } : { operation: 'drop' }
    }
    return {
      operation: version.startsWith('-') ? 'delete' : 'set',
      origin: isOwn(version) ? 'here' : 'elsewhere',
    }
  }
}
