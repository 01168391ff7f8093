import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'

export interface RecordedEvent {
  readonly id: string | undefined
  readonly name: string
  readonly data: Readonly<Record<string, unknown>>
}

/** A response of server-sent events that goes nowhere. The test says how much of it waits to be read. */
export class RecordedResponse extends EventEmitter {
  status: number | undefined
  headers: Readonly<Record<string, string>> = {}
  text = ''
  /** Bytes that the client has not read. */
  writableLength = 0
  isEnded = false
  destroyed = false

  /** The same object, as the code under test takes it. */
  get response(): ServerResponse {
    return this as unknown as ServerResponse
  }

  writeHead(status: number, headers: Readonly<Record<string, string>>): this {
    this.status = status
    this.headers = headers
    return this
  }

  write(text: string): boolean {
    this.text += text
    return true
  }

  end(): void {
    this.isEnded = true
    this.emit('close')
  }

  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }

  /** Returns the events so far, and forgets them. */
  taken(): readonly RecordedEvent[] {
    const blocks = this.text.split('\n\n').filter((block) => block.includes('data: '))
    this.text = ''
    return blocks.map((block) => ({
      id: /^id: (.*)$/m.exec(block)?.[1],
      name: /^event: (.*)$/m.exec(block)?.[1] ?? '',
      data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '{}'),
    }))
  }
}
