import type { FeedEvent } from '../../src/http/ops/page/page-data.js'
import { byId, create } from '../elements.js'
import { count, duration, time } from '../format.js'

const keptEvents = 50

/** Losses and recoveries of the change feed, newest first. */
export class FeedView {
  #events: FeedEvent[] = []

  open(events: readonly FeedEvent[]): void {
    this.#events = []
    this.add(events)
  }

  add(events: readonly FeedEvent[]): void {
    this.#events.push(...events)
    this.#events.splice(0, this.#events.length - keptEvents)
    byId('feed').replaceChildren(...this.#events.map(rowOf).reverse())
  }
}

function rowOf({ atMs, state, reason, was, forMs, entries }: FeedEvent): HTMLElement {
  const row = create('tr')
  const held = entries === undefined ? '' : `, ${count(entries)} are held`
  const text = create('td', '', `${reason}${held} `)
  text.append(create('span', 'quiet', `(${was} for ${duration(forMs)} before)`))
  row.append(create('td', 'time', time(atMs)), create('td', 'word', state), text)
  return row
}
