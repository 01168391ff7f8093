import type { PageEvents } from '../src/http/ops/page/page-data.js'
import type { Session } from './session.js'

export type PageHandlers = { readonly [Name in keyof PageEvents]: (data: PageEvents[Name]) => void } & {
  readonly lost: () => void
}

/** Time without an event after which the connection counts as lost. Events come every two seconds. */
const silenceMs = 10_000
const retryMs = 1_000

/**
 * Reads the events of the sidecar, and connects again after each loss. An EventSource would do the same, but cannot
 * send a token.
 */
export class EventStream {
  readonly #session: Session
  readonly #handlers: PageHandlers
  #isRenewed = false
  #attempt = new AbortController()

  constructor(session: Session, handlers: PageHandlers) {
    this.#session = session
    this.#handlers = handlers
  }

  /** Connects again, with the token that the session has now. */
  renew(): void {
    this.#isRenewed = true
    this.#attempt.abort()
  }

  async run(): Promise<never> {
    for (;;) {
      this.#attempt = new AbortController()
      this.#isRenewed = false
      await this.#read().catch(() => undefined)
      if (this.#isRenewed) continue
      this.#handlers.lost()
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }

  async #read(): Promise<void> {
    const attempt = this.#attempt
    let silence = setTimeout(() => attempt.abort(), silenceMs)
    try {
      const { headers } = this.#session
      const response = await fetch('stream', { headers, signal: attempt.signal, cache: 'no-store' })
      if (!response.ok || response.body === null) return
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      let text = ''
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        clearTimeout(silence)
        silence = setTimeout(() => attempt.abort(), silenceMs)
        const events = (text + value).split('\n\n')
        text = events.pop() ?? ''
        for (const event of events) this.#handle(event)
      }
    } finally {
      clearTimeout(silence)
    }
  }

  #handle(event: string): void {
    const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? []
    if (name === undefined || data === undefined) return
    const handle = this.#handlers[name as keyof PageEvents] as ((data: unknown) => void) | undefined
    handle?.(JSON.parse(data))
  }
}
