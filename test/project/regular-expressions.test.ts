import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import ts from 'typescript'

// Its other backends are programs for some platforms, which answer the same.
process.env.RECHECK_BACKEND = 'pure'
const { checkSync } = await import('recheck')

/** Files whose expressions see nothing but the files in sql/. */
const ofOurOwnFiles = new Set(['postgres/schema/migration-files.ts'])

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

/**
 * Options of the search for a slow text: a time limit in ms, and a fixed seed. By chance, the search now and then takes a
 * very long text for a slow one, although the time is proportional to its length.
 */
const search = { timeout: 300_000, randomSeed: 1 }

t.test(
  'no regular expression takes a time that grows with the square of its input',
  { timeout: 600_000 },
  async (t) => {
    const folder = new URL('../../src/', import.meta.url)
    const names = (await readdir(folder, { recursive: true })).map((name) => name.replaceAll('\\', '/'))
    for (const name of ofOurOwnFiles) t.ok(names.includes(name), `${name} is there`)
    const found: Found[] = []
    for (const name of names.filter((name) => name.endsWith('.ts') && !ofOurOwnFiles.has(name)))
      found.push(...expressionsIn(name, await readFile(new URL(name, folder), 'utf8')))
    t.ok(found.length > 30, 'they are found')
    for (const one of found.filter(mayBeSlow)) {
      const diagnostics = checkSync(one.source, one.flags, search)
      const attack = diagnostics.status === 'vulnerable' ? diagnostics.attack.pattern : ''
      t.equal(diagnostics.status, 'safe', `${one.place} /${one.source}/${one.flags} ${attack}`)
    }
  },
)

t.test('an expression that backtracks is found', async (t) => {
  const [found] = expressionsIn('a.ts', 'text.split(/\\s*,\\s*/)')
  t.ok(found && mayBeSlow(found))
  t.equal(checkSync(found?.source as string, '', search).status, 'vulnerable')
})
