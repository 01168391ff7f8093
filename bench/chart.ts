import type { Section } from './results.js'
import type { Spread } from './statistics.js'
import { numberOf } from './table.js'

export interface Bar {
  readonly label: string
  readonly value: Spread
  readonly isOurs: boolean
}

/** Bars of one unit, from 0, on one scale. */
export interface Panel {
  readonly title: string
  readonly bars: readonly Bar[]
}

const width = 760
const labelWidth = 210
const valueWidth = 120
const barHeight = 18
const barStep = 26
const titleHeight = 34
const gap = 14

/** Colours that can be read on white and on black, and text that follows the reader's choice where it is known. */
const style = `
  text { font: 13px system-ui, sans-serif; fill: #57606a }
  .title { font-weight: 600 }
  .ours { fill: #1f7a8c } .theirs { fill: #a3aab3 }
  .spread { stroke: #57606a; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #c9d1d9 } .ours { fill: #39b3c9 } .theirs { fill: #6e7681 } .spread { stroke: #c9d1d9 }
  }`

/** Medians as bars, from the smallest to the largest round as a line over their ends. */
export function chart(panels: readonly Panel[]): string {
  const parts: string[] = []
  let y = gap
  for (const { title, bars } of panels) {
    const scale = (width - labelWidth - valueWidth) / Math.max(...bars.map(({ value }) => value.max))
    parts.push(`<text class="title" x="0" y="${y + 16}">${escaped(title)}</text>`)
    y += titleHeight
    for (const { label, value, isOurs } of bars) {
      const [length, from, to] = [value.median, value.min, value.max].map((one) =>
        Math.max(1, one * scale).toFixed(1),
      )
      const middle = y + barHeight / 2
      parts.push(
        `<text x="${labelWidth - 10}" y="${middle + 4.5}" text-anchor="end">${escaped(label)}</text>`,
        `<rect class="${isOurs ? 'ours' : 'theirs'}" x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" rx="2"/>`,
        `<line class="spread" x1="${labelWidth + Number(from)}" x2="${labelWidth + Number(to)}" y1="${middle}" y2="${middle}"/>`,
        `<text x="${labelWidth + Number(to) + 8}" y="${middle + 4.5}">${numberOf(value.median)}</text>`,
      )
      y += barStep
    }
    y += gap
  }
  const label = escaped(panels.map(({ title }) => title).join('; '))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="${label}">
<style>${style}
</style>
${parts.join('\n')}
</svg>
`
}

/** One panel for each figure that contenders of the section share; the limit of the load is none of them. */
export function panelsOf({ rows }: Section): Panel[] {
  const limits = new Set(rows.map(({ limit }) => limit))
  const panels = new Map<string, { unit: string; works: string[]; bars: Map<string, Bar> }>()
  for (const { figure, unit, work, of, against, ours, theirs } of rows) {
    if (against === undefined || ours === undefined || theirs === undefined || limits.has(against)) continue
    const panel = panels.get(figure) ?? { unit, works: [], bars: new Map<string, Bar>() }
    panels.set(figure, panel)
    panel.works.push(work)
    panel.bars.set(of, { label: of, value: ours, isOurs: true })
    panel.bars.set(against, { label: against, value: theirs, isOurs: false })
  }
  return [...panels.values()].map(({ unit, works, bars }) => ({
    title: `${commonPart(works)}, ${unit}`,
    bars: [...bars.values()],
  }))
}

/** Returns the common beginning of the texts: "SET" of "SET, 16 connections" and "SET, 64 connections". */
function commonPart([first = '', ...others]: readonly string[]): string {
  let length = first.length
  for (const other of others) while (!other.startsWith(first.slice(0, length))) length--
  return length === first.length ? first : first.slice(0, length).replace(/[,:]? \S*$/, '')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
