import type { ChangeLog, LoggedChange } from '../../../core/changes/change-log.js'
import { versionOfNone } from '../../../core/entry.js'
import { isHashed } from '../../../core/state/key-id.js'

/** A part of the log as text. `last` is the number of the last change that it covers. */
export interface Piece {
  readonly text: string
  readonly last: number
}

/** Headers of a stream of events, which no proxy may keep or hold back. */
export const eventStreamHeaders = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
}

/** Maximum number of changes in a piece. Without it, each client that is far behind would copy the log. */
const changesPerPiece = 256

/**
 * Texts of server-sent events. Clients that are at the same place and want the same keys share them, so that a change
 * is turned into text once, whatever the number of clients.
 *
 * The ids of events and the names of generations begin with a random name of the process: behind a balancer, a client
 * may read from one sidecar and follow another (P19).
 */
export class EventTexts {
  readonly process: string
  readonly #log: ChangeLog
  readonly #pieceLength: number
  #pieces = new Map<string, Piece>()
  #last = 0

  constructor(process: string, log: ChangeLog, pieceLength: number) {
    this.process = process
    this.#log = log
    this.#pieceLength = pieceLength
  }

  /** Name of the feed of this process in its present generation. */
  get feed(): string {
    return `${this.process}.${this.#log.generation}`
  }

  /** Returns the number of the event with this id; undefined if it is not an event of this process. */
  numberOf(id: string): number | undefined {
    const [name, number = ''] = id.split(':')
    return name === this.process && /^\d{1,15}$/.test(number) ? Number(number) : undefined
  }

  /**
   * Returns the text of changes after the one with this number, of keys with this prefix. It ends after about the
   * length of a piece. Undefined if the log does not have them.
   */
  after(number: number, prefix: string): Piece | undefined {
    if (this.#last !== this.#log.last) this.#pieces = new Map()
    this.#last = this.#log.last
    const name = `${number} ${prefix}`
    const piece = this.#pieces.get(name) ?? this.#piece(number, prefix)
    if (piece) this.#pieces.set(name, piece)
    return piece
  }

  #piece(number: number, prefix: string): Piece | undefined {
    const changes = this.#log.since(number, changesPerPiece)
    if (changes === undefined) return undefined
    let text = ''
    for (const change of changes) {
      if (mayHavePrefix(change, prefix)) text += event('change', membersOf(change), this.#id(change.number))
      if (text.length >= this.#pieceLength) return { text, last: change.number }
    }
    return { text, last: changes.at(-1)?.number ?? number }
  }

  /**
   * Returns the first event of a stream that continues after `seen`, the number of a change. It has its id, because the
   * connection may be lost before the first change. If a gap comes first, `seen` is undefined, and the event has no id:
   * a client that resumed after it would never see the gap.
   */
  opening(stream: string, maxStalenessMs: number, seen: number | undefined): string {
    const data = { stream, feed: this.feed, max_staleness_ms: maxStalenessMs }
    return `retry: 1000\n${event('open', data, seen === undefined ? undefined : this.#id(seen))}`
  }

  gap(): string {
    return event('gap', { feed: this.feed }, this.#id(this.#log.last))
  }

  /** Returns a comment that shows that the stream is alive, and sets what the client sends as Last-Event-ID. */
  heartbeat(): string {
    return `: heartbeat\nid: ${this.#id(this.#log.last)}\n\n`
  }

  #id(number: number): string {
    return `${this.process}:${number}`
  }
}

export function event(name: string, data: object, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}

/**
 * Returns the members of a change. A key beyond 512 bytes is only known by its hash. Of a bound row, it is not known
 * whether it was deleted.
 */
function membersOf({ id, version }: LoggedChange): object {
  const key = isHashed(id) ? { key_hash: id.slice(1) } : { key: id }
  if (version === versionOfNone) return key
  return version.startsWith('-') ? { ...key, version, deleted: true } : { ...key, version }
}

/** A hash may stand for any key. */
function mayHavePrefix({ id }: LoggedChange, prefix: string): boolean {
  return id.startsWith(prefix) || isHashed(id)
}
