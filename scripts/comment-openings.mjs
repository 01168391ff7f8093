/**
 * Counts how doc comments begin. One that begins with a clause ("What a client gets: ...") has to be read twice; one that begins with
 * a noun or a verb has not. Prints the share of those that begin with one of the five commonest words, and with any of them.
 *
 *   node scripts/comment-openings.mjs           both shares
 *   node scripts/comment-openings.mjs --list    the comments, too
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const commonest = new Set('what whether of as also'.split(' '))
const clauses = new Set([
  ...commonest,
  ...'who whoever whatever whichever how where wherever when by with without for beside besides from since'.split(
    ' ',
  ),
  ...'if because in on to at'.split(' '),
])

/** The doc comments of a text: their lines and their words. */
export function docComments(text) {
  return [...text.matchAll(/\/\*\*([\s\S]*?)\*\//g)].map(({ 0: whole, 1: inside = '', index }) => ({
    line: text.slice(0, index).split('\n').length,
    words: inside
      .replaceAll(/^\s*\* ?/gm, ' ')
      .trim()
      .split(/\s+/),
    length: whole.length,
  }))
}

/** Counts the doc comments of all TypeScript files below these folders. */
export function countOpenings(folders, root = fileURLToPath(new URL('..', import.meta.url))) {
  const counts = { comments: 0, commonest: 0, clauses: 0, found: [] }
  for (const folder of folders) {
    for (const name of readdirSync(join(root, folder), { recursive: true })) {
      if (!/\.(ts|mjs)$/.test(name)) continue
      const path = join(folder, name)
      for (const { line, words } of docComments(readFileSync(join(root, path), 'utf8'))) {
        const first = (words[0] ?? '').toLowerCase().replace(/[^a-z]/g, '')
        counts.comments++
        if (commonest.has(first)) counts.commonest++
        if (!clauses.has(first)) continue
        counts.clauses++
        counts.found.push(`${path}:${line}: ${words.slice(0, 12).join(' ')}`)
      }
    }
  }
  return counts
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { comments, commonest: few, clauses: any, found } = countOpenings(['src'])
  const share = (count) => `${count} of ${comments}, ${((100 * count) / comments).toFixed(1)} %`
  if (process.argv.includes('--list')) console.log(found.join('\n'))
  console.log(`What, Whether, Of, As, Also: ${share(few)}\nany clause: ${share(any)}`)
}
