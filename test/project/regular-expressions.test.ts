import { readdir, readFile } from 'node:fs/promises'
import { checkSync } from 'recheck'
import t from 'tap'
import ts from 'typescript'

/** Files whose expressions see nothing but the files in sql/. */
const ofOurOwnFiles = ['postgres/schema/migration-files.ts']

interface Found {
  readonly place: string
  readonly source: string
  readonly flags: string
}

function expressionsIn(name: string, text: string): readonly Found[] {
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
  const found: Found[] = []
  const visit = (node: ts.Node) => {
    if (ts.isRegularExpressionLiteral(node)) {
      const end = node.text.lastIndexOf('/')
      const { line } = file.getLineAndCharacterOfPosition(node.getStart())
      found.push({
        place: `${name}:${line + 1}`,
        source: node.text.slice(1, end),
        flags: node.text.slice(end + 1),
      })
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

/** Returns true if the expression has an unbounded repetition: only such an expression can be slow. */
function mayBeSlow({ source }: Found): boolean {
  return /[*+]|\{\d+,\}/.test(source)
}

/** Time limit of the search for a slow text, in ms. */
const timeout = 300_000
/** CPU time that makes an expression slow, in ms. recheck's texts are made to take several times as long. */
const slowMs = 300

/**
 * Returns a text for which the expression takes long; undefined if none is found. recheck measures the time that a
 * process takes, which on a busy machine is long for any expression. So what it finds is measured again, in CPU time.
 */
function slowText({ source, flags }: Found): string | undefined {
  const diagnostics = checkSync(source, flags, { timeout })
  if (diagnostics.status === 'unknown') throw new Error(`${source}: ${diagnostics.error.kind}`)
  if (diagnostics.status === 'safe') return undefined
  const { string } = diagnostics.attack
  const before = process.cpuUsage()
  new RegExp(source, flags).test(string)
  return process.cpuUsage(before).user > slowMs * 1000 ? string : undefined
}

t.test(
  'no regular expression takes a time that grows with the square of its input',
  { timeout: 600_000 },
  async (t) => {
    const folder = new URL('../../src/', import.meta.url)
    const names = (await readdir(folder, { recursive: true })).map((name) => name.replaceAll('\\', '/'))
    const found: Found[] = []
    for (const name of ofOurOwnFiles) t.ok(names.includes(name), `${name} exists`)
    for (const name of names.filter((name) => name.endsWith('.ts') && !ofOurOwnFiles.includes(name)))
      found.push(...expressionsIn(name, await readFile(new URL(name, folder), 'utf8')))
    t.ok(found.length > 30, 'they are found')
    for (const one of found.filter(mayBeSlow)) {
      const slow = slowText(one)
      t.equal(slow, undefined, `${one.place} /${one.source}/${one.flags} ${slow?.slice(0, 40)}`)
    }
  },
)

t.test('an expression that backtracks is found', async (t) => {
  const [found] = expressionsIn('a.ts', 'text.split(/\\s*,\\s*/)')
  t.ok(found && mayBeSlow(found))
  t.type(found && slowText(found), 'string')
})
