import { byId } from '../elements.js'
import { bytes, milliseconds, number } from '../format.js'
import { Chart } from './chart.js'
import type { History } from './history.js'

/** The charts of the last 15 minutes. */
export class Charts {
  readonly #charts = [
    new Chart({
      title: 'Reads',
      about: 'per second: hits, and misses by reason',
      series: [
        { column: 'hits', name: 'hits' },
        { column: 'absent', name: 'not held' },
        { column: 'expired', name: 'expired' },
        { column: 'unproven', name: 'not proven' },
        { column: 'requested', name: 'asked for', isDashed: true },
      ],
      format: number,
      leastTop: 1,
    }),
    new Chart({
      title: 'Response times',
      about: 'of all requests, over ten seconds; logarithmic scale',
      series: [
        { column: 'p50Ms', name: 'median' },
        { column: 'p99Ms', name: '99th percentile' },
      ],
      format: milliseconds,
      leastTop: 10,
      logarithmicFrom: 0.01,
    }),
    new Chart({
      title: 'Age of the last proof',
      about: 'how far the change feed is behind, at most',
      series: [{ column: 'leaseAgeMs', name: 'age' }],
      format: milliseconds,
      leastTop: 1_000,
    }),
    new Chart({
      title: 'Memory',
      about: 'accounted for, and of the process',
      series: [
        { column: 'memoryBytes', name: 'budget in use' },
        { column: 'residentBytes', name: 'resident' },
      ],
      format: bytes,
      leastTop: 1024 * 1024,
      steps: Array.from({ length: 30 }, (_, power) => 1024 * 2 ** power),
    }),
    new Chart({
      title: 'Event-loop delay',
      about: '99th percentile over ten seconds',
      series: [{ column: 'loopDelayMs', name: 'delay' }],
      format: milliseconds,
      leastTop: 5,
    }),
  ]

  constructor() {
    byId('charts').append(...this.#charts.map(({ element }) => element))
  }

  show(history: History): void {
    for (const chart of this.#charts) chart.show(history)
  }
}
