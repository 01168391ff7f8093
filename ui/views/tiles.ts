import type { Overview } from '../../src/http/ops/page/page-data.js'
import type { History } from '../charts/history.js'
import { byId, create, setText } from '../elements.js'
import { bytes, count, milliseconds, number, percent } from '../format.js'

/** Samples that stand for now: those of the last ten seconds. */
const nowSamples = 5

interface TileContent {
  readonly value: string
  readonly unit?: string
  readonly detail: string
  /** Share of a bound that is in use, from 0 to 1. */
  readonly share?: number
}

/** A figure with its name, a line about it, and how much of its bound it uses. */
class Tile {
  readonly element = create('div', 'tile')
  readonly #value = create('span')
  readonly #unit = create('small')
  readonly #detail = create('dd', 'detail')
  readonly #bar = create('i')
  readonly #frame = create('dd', 'bar')

  constructor(name: string) {
    const value = create('dd', 'value')
    value.append(this.#value, ' ', this.#unit)
    this.#frame.append(this.#bar)
    // The text says the same.
    this.#frame.setAttribute('aria-hidden', 'true')
    this.element.append(create('dt', '', name), value, this.#detail, this.#frame)
  }

  show({ value, unit = '', detail, share }: TileContent): void {
    setText(this.#value, value)
    setText(this.#unit, unit)
    setText(this.#detail, detail)
    this.#frame.hidden = share === undefined
    if (share === undefined) return
    this.#bar.style.width = `${Math.min(1, share) * 100}%`
    this.#frame.dataset.full = String(share > 0.9)
  }
}

type Figure = (overview: Overview, history: History) => TileContent

const figures: Readonly<Record<string, Figure>> = {
  'Hit ratio': (_, history) => ({
    value: percent(history.hitRatio(nowSamples)),
    detail: `${percent(history.hitRatio())} over 15 minutes`,
  }),
  Requests: (_, history) => ({
    value: number(history.mean('requests', nowSamples)),
    unit: 'per second',
    detail: `${number(history.mean('requests', Number.POSITIVE_INFINITY))} over 15 minutes`,
  }),
  'Response time, median': (_, history) => ({
    value: milliseconds(history.latest('p50Ms')),
    detail: `99th percentile ${milliseconds(history.latest('p99Ms'))}`,
  }),
  Entries: ({ entries, capacity, memory }) => ({
    value: count(entries),
    unit: `of ${count(capacity)}`,
    detail: `${bytes(memory.entries.bytes)} of ${bytes(memory.entries.limitBytes)}`,
    share: Math.max(entries / capacity, memory.entries.bytes / memory.entries.limitBytes),
  }),
  'Memory budget': ({ memory }, history) => {
    const parts = Object.values(memory)
    const used = parts.reduce((sum, part) => sum + part.bytes, 0)
    const limit = parts.reduce((sum, part) => sum + part.limitBytes, 0)
    return {
      value: bytes(used),
      unit: `of ${bytes(limit)}`,
      detail: `${bytes(history.latest('residentBytes'))} resident`,
      share: used / limit,
    }
  },
  'Age of the last proof': ({ leaseAgeMs, maxStalenessMs, feed }) => ({
    value: milliseconds(leaseAgeMs),
    unit: `of ${milliseconds(maxStalenessMs)}`,
    detail: `change feed ${feed}`,
    // While it is idle, nothing has to be proven.
    ...(leaseAgeMs !== null && feed !== 'idle' && { share: leaseAgeMs / maxStalenessMs }),
  }),
  'Pending writes': ({ pendingWrites, memory: { pending_writes: pending } }) => ({
    value: count(pendingWrites),
    detail: `${bytes(pending.bytes)} of ${bytes(pending.limitBytes)}`,
    share: pending.bytes / pending.limitBytes,
  }),
  'Event-loop delay': (_, history) => ({
    value: milliseconds(history.latest('loopDelayMs')),
    detail: '99th percentile',
  }),
}

/** The figures of this moment. */
export class Tiles {
  readonly #tiles = Object.keys(figures).map((name) => ({
    tile: new Tile(name),
    figure: figures[name] as Figure,
  }))

  constructor() {
    byId('tiles').append(...this.#tiles.map(({ tile }) => tile.element))
  }

  show(overview: Overview, history: History): void {
    for (const { tile, figure } of this.#tiles) tile.show(figure(overview, history))
  }
}
