import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { markdownTable, written } from './markdown.js'
import type { Section } from './results.js'
import { comparedText, numberOf, targetText } from './table.js'

const page = fileURLToPath(new URL('../docs/explanation/performance.md', import.meta.url))
/** Those that a newcomer asks for. */
const shown = ['hit', 'latency', 'set', 'miss', 'commit-to-gone', 'fleet', 'cold-start']

/** Writes every target, and what came of it, into docs/explanation/performance.md. */
export async function writeTargetsPage(sections: readonly Section[]): Promise<void> {
  await writeFile(page, withTargets(await readFile(page, 'utf8'), sections))
}

export function withTargets(text: string, sections: readonly Section[]): string {
  const rows = sections
    .filter(({ name }) => shown.includes(name))
    .flatMap(({ rows }) => rows)
    .flatMap(({ work, unit, ours, against, theirs, compared, target, verdict }) =>
      target && ours && theirs && compared
        ? [
            [
              work,
              `${numberOf(ours.median)} ${unit}`,
              `${numberOf(theirs.median)}, ${against}`,
              comparedText(compared, target),
              targetText(target).replace('>=', '≥').replace('<=', '≤'),
              verdict,
            ],
          ]
        : [],
    )
  const head = ['work', 'sidecar', 'against', 'ratio (smallest to largest)', 'target', '']
  return written(text, 'npm run bench writes this', markdownTable([head, ...rows]))
}
