import type { ServerResponse } from 'node:http'
import { event, eventStreamHeaders } from '../../routes/changes/event-texts.js'
import type { PageEvents } from './page-data.js'

/** Number of open pages, beyond which a further one is refused. */
const maxPages = 100
/** Bytes that a page has not read, beyond which it is cut off. It opens its stream again later. */
const maxUnreadBytes = 1024 * 1024

const headers = { ...eventStreamHeaders, 'X-Content-Type-Options': 'nosniff' }

/** The open pages. Each event is turned into text once, whatever their number. */
export class PageStreams {
  readonly #all = new Set<ServerResponse>()
  readonly #withKeys = new Set<ServerResponse>()

  get isFull(): boolean {
    return this.#all.size >= maxPages
  }

  /** True if a page shows changes. */
  get areChangesShown(): boolean {
    return this.#withKeys.size > 0
  }

  open(response: ServerResponse, opening: PageEvents['open']): void {
    response.writeHead(200, headers)
    response.write(event('open', opening))
    this.#all.add(response)
    if (opening.keys !== 'refused') this.#withKeys.add(response)
    response.once('close', () => {
      this.#all.delete(response)
      this.#withKeys.delete(response)
    })
  }

  /** Sends an event to all pages; changes only to those that may see keys. */
  send<Name extends keyof PageEvents>(name: Name, data: PageEvents[Name]): void {
    const pages = name === 'changes' ? this.#withKeys : this.#all
    if (pages.size === 0) return
    const text = event(name, data as object)
    for (const page of pages) {
      if (page.writableLength > maxUnreadBytes) page.destroy()
      else page.write(text)
    }
  }

  close(): void {
    for (const page of this.#all) page.end()
  }
}
