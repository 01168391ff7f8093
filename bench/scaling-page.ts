import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Figures } from './comparison.js'
import { restingSidecars, restNames } from './comparisons/rest.js'
import { clientsOf, rates, sidecarsOf, sizes } from './comparisons/scaling.js'
import { type Cells, markdownTable, written } from './markdown.js'
import type { Section } from './results.js'
import { numberOf } from './table.js'

const page = fileURLToPath(new URL('../docs/explanation/scaling.md', import.meta.url))

const tables: Readonly<Record<string, (section: Section) => Cells>> = {
  scaling: (section) => [
    [
      'sidecars',
      'changes/s',
      'p50, ms',
      'p99, ms',
      'bare: p50',
      'bare: p99',
      'PostgreSQL, % of a core',
      'bare',
      'at rest, % of a core',
      'pool at rest, each',
    ],
    ...sizes.flatMap((size) => {
      const [ours, bare] = [figuresOf(section, sidecarsOf(size)), figuresOf(section, clientsOf(size))]
      return rates.map((rate, index) => [
        String(size),
        numberOf(rate),
        shown(ours[`p50MsAt${rate}`]),
        shown(ours[`p99MsAt${rate}`]),
        shown(bare[`p50MsAt${rate}`]),
        shown(bare[`p99MsAt${rate}`]),
        shown(ours[`serverAt${rate}`]),
        shown(bare[`serverAt${rate}`]),
        index === 0 ? shown(ours.serverAtRest) : '',
        index === 0 ? shown(ours.poolMeanEach) : '',
      ])
    }),
  ],
  rest: (section) => [
    [
      `${restingSidecars} sidecars`,
      'transaction ids per minute',
      'PostgreSQL, % of a core',
      'WAL, KiB per minute',
      'connections',
    ],
    ...restNames.map((name) => {
      const { xidsPerMinute, serverShare, walKiBPerMinute, connections } = figuresOf(section, name)
      return [
        name,
        ...[xidsPerMinute, serverShare, walKiBPerMinute, connections].map((figure) => shown(figure)),
      ]
    }),
  ],
  restart: (section) => [
    ['sidecars', 'half of them live, ms', 'all, ms', 'refused', 'connections made', 'most in 100 ms'],
    ...sizes.map((size) => {
      const { halfMs, allMs, refused, made, mostAtOnce } = figuresOf(section, sidecarsOf(size))
      return [String(size), ...[halfMs, allMs, refused, made, mostAtOnce].map((figure) => shown(figure))]
    }),
  ],
  frozen: (section) => [
    ['', 'frozen sidecar', 'frozen bare client'],
    ...(
      [
        ['its connection takes first, MiB', 'socketMiB'],
        ['queue after 5 s, KiB', 'queueKiBAt5'],
        ['after 10 s', 'queueKiBAt10'],
        ['after 20 s', 'queueKiBAt20'],
        ['after 30 s', 'queueKiBAt30'],
        ['growth while held up, KiB/s', 'kibPerSecond'],
        ['8 GiB full at that rate, hours', 'hoursToFull'],
        ['session ended by the server, s', 'endedSeconds'],
        ['follows again once it continues, ms', 'backMs'],
      ] as const
    ).map(([work, figure]) => [
      work,
      ...['one frozen sidecar', 'one frozen bare client'].map((name) =>
        shown(figuresOf(section, name)[figure], 'never'),
      ),
    ]),
  ],
}

/** Writes what was measured into docs/explanation/scaling.md. */
export async function writeScalingPage(sections: readonly Section[]): Promise<void> {
  await writeFile(page, withScalingTables(await readFile(page, 'utf8'), sections))
}

/** The text with the tables of those of these sections that have one. */
export function withScalingTables(text: string, sections: readonly Section[]): string {
  return sections.reduce((page, section) => {
    const table = tables[section.name]
    return table ? withTable(page, section, table(section)) : page
  }, text)
}

function withTable(text: string, { name, machine }: Section, cells: Cells): string {
  const { date, cpu, loadBefore, postgres, node } = machine
  const server = postgres ? `PostgreSQL ${postgres.split(' ')[0]}, ` : ''
  const where = `${date.slice(0, 10)}, ${cpu}, ${server}Node ${node}, load average before: ${loadBefore.toFixed(1)}.\n`
  return written(text, `npm run bench -- ${name} writes this`, `${markdownTable(cells)}\n${where}`)
}

function figuresOf({ measured }: Section, name: string): Figures {
  return measured[name]?.at(-1) ?? {}
}

function shown(value: number | undefined, otherwise = ''): string {
  return value === undefined || value === null ? otherwise : numberOf(value)
}
