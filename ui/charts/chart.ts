import uPlot from 'uplot'
import type { SampleColumn } from '../../src/http/ops/page/page-data.js'
import { create, setText } from '../elements.js'
import type { History } from './history.js'

export interface ChartSeries {
  readonly column: SampleColumn
  readonly name: string
  readonly isDashed?: boolean
}

export interface ChartOptions {
  readonly title: string
  /** Explanation of the numbers, after the title. */
  readonly about: string
  readonly series: readonly ChartSeries[]
  readonly format: (value: number | null | undefined) => string
  /** Upper end of the scale, at least. */
  readonly leastTop: number
  /** Steps of the grid that may be chosen; by default 1, 2, 2.5 and 5 times a power of ten. */
  readonly steps?: number[]
  /** Lower end of a logarithmic scale; without it, the scale is linear and begins at 0. */
  readonly logarithmicFrom?: number
}

const powersOfTen = [0.01, 0.1, 1, 10, 100, 1_000, 10_000]
const axisFont = '12px system-ui, sans-serif'

/** A chart of the last 15 minutes, with a legend that shows the latest numbers or those under the cursor. */
export class Chart {
  readonly element = create('figure')
  readonly #options: ChartOptions
  readonly #plotFrame = create('div', 'plot')
  readonly #values: HTMLElement[]
  #plot: uPlot | undefined
  #data: (number | null)[][] = []
  #window: [number, number] = [0, 1]

  constructor(options: ChartOptions) {
    this.#options = options
    const title = create('h3', '', options.title)
    title.append(' ', create('span', '', options.about))
    const legend = create('ul', 'legend')
    this.#values = options.series.map(({ name }, index) => {
      const item = create('li', `swatch-${index + 1}`)
      const value = create('b')
      item.append(create('i', 'swatch'), name, value)
      legend.append(item)
      return value
    })
    this.#plotFrame.setAttribute('role', 'img')
    this.#plotFrame.setAttribute(
      'aria-label',
      `Chart of ${options.title.toLowerCase()}; the latest numbers are above`,
    )
    this.element.append(title, legend, this.#plotFrame)
    new ResizeObserver(() => this.#resize()).observe(this.#plotFrame)
    // Colours are read from the styles when the chart is drawn.
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw())
  }

  show(history: History): void {
    const { series } = this.#options
    this.#data = [history.column('time'), ...series.map(({ column }) => history.column(column))]
    this.#window = history.window()
    if (this.#plot) this.#plot.setData(this.#data as uPlot.AlignedData)
    else this.#draw()
    this.#label(this.#plot?.cursor.idx)
  }

  #draw(): void {
    this.#plot?.destroy()
    this.#plot = new uPlot(this.#plotOptions(), this.#data as uPlot.AlignedData, this.#plotFrame)
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#plotFrame
    if (width > 0) this.#plot?.setSize({ width, height })
  }

  /** Shows the numbers of a sample, or the latest ones. */
  #label(index: number | null | undefined): void {
    const { format } = this.#options
    for (const [place, element] of this.#values.entries()) {
      const column = this.#data[place + 1] ?? []
      setText(element, format(index === null || index === undefined ? column.at(-1) : column[index]))
    }
  }

  #plotOptions(): uPlot.Options {
    const { series, format, leastTop, steps, logarithmicFrom } = this.#options
    const styles = getComputedStyle(document.documentElement)
    const colour = (name: string) => styles.getPropertyValue(`--${name}`).trim()
    const axisText = (tick: number | null) =>
      tick === null ? '' : tick === 0 ? '0' : format(tick).replace(/\.0+(?=\D|$)/, '')
    const axis: uPlot.Axis = {
      stroke: colour('quiet'),
      font: axisFont,
      grid: { stroke: colour('line'), width: 1 },
      ticks: { show: false },
    }
    return {
      width: this.#plotFrame.clientWidth,
      height: this.#plotFrame.clientHeight,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: true, range: () => this.#window },
        y: {
          distr: logarithmicFrom === undefined ? 1 : 3,
          range: (_, _least, most) => [logarithmicFrom ?? 0, Math.max(leastTop, (most ?? 0) * 1.1)],
        },
      },
      axes: [
        { ...axis, grid: { show: false }, values: '{HH}:{mm}', space: 60, size: 26 },
        {
          ...axis,
          values: (_, ticks) => ticks.map((tick) => axisText(tick)),
          size: 68,
          space: 36,
          ...(steps && { incrs: steps }),
          ...(logarithmicFrom !== undefined && {
            splits: (_plot, _axis, least: number, most: number) =>
              powersOfTen.filter((one) => one >= least && one <= most),
          }),
        },
      ],
      series: [
        {},
        ...series.map(({ name, isDashed }, index) => ({
          label: name,
          stroke: colour(`series-${index + 1}`),
          width: 1.5,
          points: { show: false },
          ...(isDashed && { dash: [4, 3] }),
        })),
      ],
      hooks: { setCursor: [(plot) => this.#label(plot.cursor.idx)] },
    }
  }
}
