/** One event of a stream. */
export interface ServerSentEvent {
  readonly name: string
  readonly data: string
}

/**
 * Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) from text that arrives in
 * pieces. It is ours because of `lastEventId`: sidecars send blocks that have only an id, so that a stream without
 * changes can be continued, too. The parsers that we found report an id only together with an event.
 */
export class EventParser {
  /** Id of the last block that has arrived as a whole; undefined before the first one. */
  lastEventId: string | undefined
  #rest = ''
  #id: string | undefined
  #name = ''
  #data: string[] = []

  /** Returns the events that this piece completes. */
  push(piece: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = []
    const text = this.#rest + piece
    let start = 0
    for (let end = lineEnd(text, start); end !== undefined; end = lineEnd(text, start)) {
      const event = this.#line(text.slice(start, end.index))
      if (event) events.push(event)
      start = end.next
    }
    this.#rest = text.slice(start)
    return events
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === '') return this.#blockEnd()
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') this.#data.push(value)
    else if (field === 'event') this.#name = value
    else if (field === 'id' && !value.includes('\0')) this.#id = value
    return undefined
  }

  #blockEnd(): ServerSentEvent | undefined {
    this.lastEventId = this.#id ?? this.lastEventId
    const [name, data] = [this.#name || 'message', this.#data]
    this.#id = undefined
    this.#name = ''
    this.#data = []
    return data.length === 0 ? undefined : { name, data: data.join('\n') }
  }
}

/**
 * Returns the end of a line, and the beginning of the next one; undefined if the line is not complete. A CR at the end of
 * the text may be followed by an LF that belongs to it.
 */
function lineEnd(text: string, start: number): { readonly index: number; readonly next: number } | undefined {
  for (let index = start; index < text.length; index++) {
    if (text[index] === '\n') return { index, next: index + 1 }
    if (text[index] !== '\r') continue
    if (index + 1 === text.length) return undefined
    return { index, next: text[index + 1] === '\n' ? index + 2 : index + 1 }
  }
  return undefined
}
