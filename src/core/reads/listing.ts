import { Semaphore } from '../batching/semaphore.js'
import type { Value } from '../entry.js'
import { CacheError } from '../errors.js'
import { isJson, type MediaType } from '../media-type.js'
import type { Clock, EntryList, ListedRow, ListedRows, Store } from '../ports.js'

export interface ListedEntry extends ListedRow {
  /** Undefined if no values were asked for, or if this one is too large. */
  readonly value?: Value | undefined
  readonly mediaType?: MediaType | undefined
}

export interface PageRequest {
  readonly prefix: string
  /** Key after which the page begins; empty for the first page. */
  readonly after: string
  /** Maximum number of entries. */
  readonly limit: number
  readonly withValues: boolean
}

export interface ListingOptions {
  /** Maximum bytes of the values of one page, and of one value. */
  readonly maxPageBytes: number
  /** Maximum time that a request waits for its turn. */
  readonly maxWaitMs: number
}

export interface ListingParts {
  readonly list: EntryList
  readonly store: Pick<Store, 'read'>
  /** Calls `read`, which returns values of the store, once memory is reserved for them. */
  readonly withValueSlot: <T>(read: () => Promise<T>) => Promise<T>
  readonly clock: Pick<Clock, 'now'>
}

/** Bound on requests that wait for their turn. */
const maxWaiting = 16

/**
 * Lists and counts the entries of the store, never from memory. A list can take the database long, so one request is
 * served at a time, and the other connections are left to reads and writes.
 */
export class Listing {
  readonly #options: ListingOptions
  readonly #parts: ListingParts
  readonly #turn = new Semaphore(1)
  #waiting = 0

  constructor(options: ListingOptions, parts: ListingParts) {
    this.#options = options
    this.#parts = parts
  }

  /** True if too many requests wait. Then further ones must be refused. */
  get isCrowded(): boolean {
    return this.#waiting >= maxWaiting
  }

  /** Returns a page. Rejects with a CacheError. */
  page({ prefix, after, limit, withValues }: PageRequest): Promise<ListedRows<ListedEntry>> {
    return this.#inTurn(async () => {
      const listed = await this.#parts.list.rows({ prefix, after }, limit)
      return withValues ? this.#withValues(listed) : listed
    })
  }

  /** Returns the number of entries whose key begins with the prefix. Rejects with a CacheError. */
  count(prefix: string): Promise<number> {
    return this.#inTurn(() => this.#parts.list.count(prefix))
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const { clock } = this.#parts
    const lateMs = clock.now() + this.#options.maxWaitMs
    this.#waiting++
    await new Promise<void>((resolve) => this.#turn.acquire(resolve))
    this.#waiting--
    try {
      if (clock.now() > lateMs) throw new CacheError('store-busy', 'the lists before this one took too long')
      return await work()
    } finally {
      this.#turn.release()
    }
  }

  /** Adds the values. The page ends earlier if they take more than `maxPageBytes` together. */
  async #withValues({ rows, next }: ListedRows): Promise<ListedRows<ListedEntry>> {
    const { store, withValueSlot } = this.#parts
    const { maxPageBytes } = this.#options
    const page: ListedRow[] = []
    let bytes = 0
    for (const row of rows) {
      if (row.bytes <= maxPageBytes) bytes += row.bytes
      if (bytes > maxPageBytes) break
      page.push(row)
    }
    const wanted = page.filter((row) => row.bytes <= maxPageBytes).map(({ key }) => ({ key }))
    const answers: Awaited<ReturnType<Store['read']>> =
      wanted.length === 0 ? new Map() : await withValueSlot(() => store.read(wanted))
    const entries: ListedEntry[] = []
    for (const row of page) {
      const answer = answers.get(row.key)
      if (answer === undefined || 'withheld' in answer) entries.push(row)
      else if (answer.version !== undefined && answer.value !== undefined) {
        const { version, value, mediaType, remainingMs } = answer
        const { key, groups } = row
        const size = version === row.version ? row.bytes : storedBytes(value, mediaType)
        entries.push({ key, version, bytes: size, remainingMs, groups, value, mediaType })
      }
      // Otherwise, the entry was deleted after it was listed, or has expired.
    }
    return { rows: entries, next: page.length < rows.length ? page.at(-1)?.key : next }
  }
}

/** Returns the size of a value in the store, where a string is plain text, unless its type says JSON. */
function storedBytes(value: Value, mediaType: MediaType | undefined): number {
  const isText = value.startsWith('"') && !(mediaType !== undefined && isJson(mediaType))
  return Buffer.byteLength(isText ? (JSON.parse(value) as string) : value)
}
