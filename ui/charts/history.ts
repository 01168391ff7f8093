import type { Row, SampleColumn } from '../../src/http/ops/page/page-data.js'

const keptSeconds = 15 * 60

/** The samples of the last 15 minutes, by column. */
export class History {
  readonly #columns: readonly SampleColumn[]
  readonly #rows: Row[] = []

  constructor(columns: readonly SampleColumn[], rows: readonly Row[]) {
    this.#columns = columns
    for (const row of rows) this.push(row)
  }

  /** Adds a sample. Those of later times were taken before the clock was set back: charts need times in their order. */
  push(row: Row): void {
    const rows = this.#rows
    const time = this.timeOf(row)
    while (rows.length > 0 && this.timeOf(rows.at(-1) as Row) >= time) rows.pop()
    rows.push(row)
    while (this.timeOf(rows[0] as Row) < time - keptSeconds) rows.shift()
  }

  /** Returns the numbers of a column, oldest first; of the last samples if `atMost` is given. */
  column(name: SampleColumn, atMost = this.#rows.length): (number | null)[] {
    const index = this.#columns.indexOf(name)
    return this.#rows.slice(-atMost).map((row) => row[index] ?? null)
  }

  /** Returns the latest number of a column. */
  latest(name: SampleColumn): number | undefined {
    return this.column(name, 1)[0] ?? undefined
  }

  /** Returns the mean of the last samples; undefined without one. */
  mean(name: SampleColumn, samples: number): number | undefined {
    const numbers = this.column(name, samples).filter((one) => one !== null)
    return numbers.length === 0 ? undefined : numbers.reduce((sum, one) => sum + one, 0) / numbers.length
  }

  /** Returns the share of reads that were hits in the last samples; undefined without reads. */
  hitRatio(samples?: number): number | undefined {
    const sumOf = (name: SampleColumn) =>
      this.column(name, samples).reduce<number>((sum, one) => sum + (one ?? 0), 0)
    const hits = sumOf('hits')
    const reads = hits + sumOf('absent') + sumOf('expired') + sumOf('unproven') + sumOf('requested')
    return reads === 0 ? undefined : hits / reads
  }

  /** Returns the Unix times of the window that the charts show, in s. */
  window(): [number, number] {
    const last = this.latest('time') ?? Date.now() / 1_000
    return [last - keptSeconds, last]
  }

  timeOf(row: Row): number {
    return row[this.#columns.indexOf('time')] ?? 0
  }
}
