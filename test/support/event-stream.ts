import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import type { Owner } from './database.js'

const patienceMs = Number(process.env.TEST_PATIENCE_MS ?? 90_000)

export interface StreamEvent {
  readonly id: string | undefined
  readonly name: string
  readonly data: Readonly<Record<string, unknown>>
}

/** A client of server-sent events, which keeps what it has received until the test takes it. */
export class EventStream {
  readonly #request: ClientRequest
  #response: IncomingMessage | undefined
  #text = ''
  #events: StreamEvent[] = []
  #wake: () => void = () => undefined
  #isOver = false
  /** Number of comments so far. */
  comments = 0
  /** Last id that was received, with an event or without. */
  lastId = ''

  private constructor(request: ClientRequest) {
    this.#request = request
  }

  /** Opens a stream, and resolves when the response has begun. It is closed at the end of the test. */
  static open(t: Owner, url: string, headers: Readonly<Record<string, string>> = {}): Promise<EventStream> {
    return new Promise((resolve, reject) => {
      const stream = new EventStream(get(url, { headers, agent: false }))
      t.teardown(() => stream.close())
      stream.#request.on('error', reject)
      stream.#request.on('response', (response) => {
        stream.#response = response
        response.setEncoding('utf8')
        response.on('data', (text: string) => stream.#received(text))
        response.on('error', () => undefined)
        response.on('close', () => {
          stream.#isOver = true
          stream.#wake()
        })
        resolve(stream)
      })
    })
  }

  get status(): number | undefined {
    return this.#response?.statusCode
  }

  get headers() {
    return this.#response?.headers ?? {}
  }

  /** Resolves to the next event with one of these names, and forgets those before it; undefined at the end. */
  async next(...names: readonly string[]): Promise<StreamEvent | undefined> {
    for (;;) {
      for (let event = this.#events.shift(); event; event = this.#events.shift())
        if (names.length === 0 || names.includes(event.name)) return event
      if (this.#isOver) return undefined
      await new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`no event: ${names.join(' or ')}`)), patienceMs)
        this.#wake = () => {
          clearTimeout(late)
          resolve()
        }
      })
    }
  }

  /** Stops reading, as a client that is too slow. */
  pause(): void {
    this.#response?.pause()
  }

  resume(): void {
    this.#response?.resume()
  }

  close(): void {
    this.#request.destroy()
  }

  #received(text: string): void {
    this.#text += text
    const blocks = this.#text.split('\n\n')
    this.#text = blocks.pop() as string
    for (const block of blocks) this.#block(block)
    this.#wake()
  }

  #block(block: string): void {
    const fields = new Map<string, string>()
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) this.comments++
      else fields.set(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2))
    }
    const id = fields.get('id')
    this.lastId = id ?? this.lastId
    const data = fields.get('data')
    if (data !== undefined)
      this.#events.push({ id, name: fields.get('event') ?? 'message', data: JSON.parse(data) })
  }
}
