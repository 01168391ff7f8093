import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { chart, panelsOf } from './chart.js'
import type { Section } from './results.js'

const folder = fileURLToPath(new URL('charts/', import.meta.url))

/** The README's. */
const overview = ['hit', 'set', 'miss']

/** One chart for each section that compares, and one for the README. */
export async function drawCharts(sections: readonly Section[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const section of sections) {
    const panels = panelsOf(section)
    if (panels.length > 0) await writeFile(`${folder}${section.name}.svg`, chart(panels))
  }
  const panels = sections
    .filter(({ name }) => overview.includes(name))
    .flatMap((section) => panelsOf(section).slice(0, 1))
  if (panels.length > 0) await writeFile(`${folder}how-fast.svg`, chart(panels))
}
