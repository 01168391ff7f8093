import { readFile, rename, writeFile } from 'node:fs/promises'
import type { Figures } from './comparison.js'
import type { Machine } from './machine.js'
import type { Outcome } from './verdict.js'

/** Results of a section, with time and machine. */
export interface Section {
  readonly name: string
  readonly about: string
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  readonly rows: readonly Outcome[]
  /** Round by round, all that was measured. */
  readonly measured: Readonly<Record<string, readonly Figures[]>>
}

/** Those of an earlier run; empty where there was none. */
export async function readResults(path: string): Promise<Section[]> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Section[]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Writes the results in one step, so that an interrupted run leaves them whole. */
export async function writeResults(path: string, sections: readonly Section[]): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(sections, undefined, 2)}\n`)
  await rename(`${path}.new`, path)
}

/** A section that was measured takes the place of its predecessor; the others stay, with their dates. */
export function merged(
  before: readonly Section[],
  section: Section,
  order: readonly string[],
): readonly Section[] {
  return [...before.filter(({ name }) => name !== section.name), section].sort(
    (one, other) => order.indexOf(one.name) - order.indexOf(other.name),
  )
}
