/**
 * `npm run comments`: prints how many doc comments begin with a clause and not with a verb or a noun.
 *
 *   npm run comments                          in src
 *   npm run comments -- test bench            in these folders
 *   npm run comments -- --list                each of them, with its place
 */
import { countOpenings, sourcesIn } from './comment-openings.js'

const args = process.argv.slice(2)
const folders = args.filter((arg) => !arg.startsWith('--'))
const { comments, commonest, clauses, found } = countOpenings(
  sourcesIn(folders.length > 0 ? folders : ['src']),
)
const share = (count: number) => `${count} of ${comments}, ${((100 * count) / comments).toFixed(1)} %`
if (args.includes('--list')) console.log(found.join('\n'))
console.log(`What, Whether, Of, As, Also: ${share(commonest)}\nany clause: ${share(clauses)}`)
