import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Words that begin a clause. A doc comment that begins with a clause ("What a client gets: ...") has to be read twice;
 * one that begins with a noun or a verb ("Returns ...") does not.
 */
const commonest = new Set(['what', 'whether', 'of', 'as', 'also'])
const clauses = new Set([
  ...commonest,
  ...[
    'who',
    'whoever',
    'whatever',
    'whichever',
    'how',
    'where',
    'wherever',
    'when',
    'if',
    'because',
    'since',
  ],
  ...['by', 'with', 'without', 'for', 'beside', 'besides', 'from', 'in', 'on', 'to', 'at'],
])

export interface DocComment {
  readonly line: number
  readonly words: readonly string[]
}

export interface Openings {
  /** Number of doc comments. */
  readonly comments: number
  /** Number of those that begin with one of the five commonest words. */
  readonly commonest: number
  /** Number of those that begin with any clause. */
  readonly clauses: number
  /** One line for each that begins with a clause: its place and its first words. */
  readonly found: readonly string[]
}

/** Returns the doc comments of a source text. */
export function docComments(text: string): DocComment[] {
  return [...text.matchAll(/\/\*\*([\s\S]*?)\*\//g)].map(({ 1: inside = '', index }) => ({
    line: text.slice(0, index).split('\n').length,
    words: inside
      .replaceAll(/^\s*\* ?/gm, ' ')
      .trim()
      .split(/\s+/),
  }))
}

/** Counts how the doc comments of these sources begin; the key of each is its path. */
export function countOpenings(sources: ReadonlyMap<string, string>): Openings {
  const found: string[] = []
  let [comments, few] = [0, 0]
  for (const [path, text] of sources) {
    for (const { line, words } of docComments(text)) {
      const first = (words[0] ?? '').toLowerCase().replace(/[^a-z]/g, '')
      comments++
      if (commonest.has(first)) few++
      if (clauses.has(first)) found.push(`${path}:${line}: ${words.slice(0, 12).join(' ')}`)
    }
  }
  return { comments, commonest: few, clauses: found.length, found }
}

/** Reads all TypeScript and module files below these folders of the project. */
export function sourcesIn(folders: readonly string[]): Map<string, string> {
  const paths = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ts|mjs)$/.test(name))
      .map((name) => join(folder, name)),
  )
  return new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]))
}
