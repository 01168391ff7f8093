import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import ts from 'typescript'

/** Returns the lines of a test on which `t.match` gets an empty array. */
function emptyPatternsIn(text: string): number[] {
  const source = ts.createSourceFile('a.ts', text, ts.ScriptTarget.Latest, true)
  const found: number[] = []
  const visitPattern = (node: ts.Node) => {
    if (ts.isArrayLiteralExpression(node) && node.elements.length === 0)
      found.push(source.getLineAndCharacterOfPosition(node.getStart()).line + 1)
    ts.forEachChild(node, visitPattern)
  }
  const visit = (node: ts.Node) => {
    if (ts.isCallExpression(node) && /\.match$/.test(node.expression.getText()) && node.arguments[1])
      visitPattern(node.arguments[1])
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

t.test('no test matches an empty array, which any array does: `{ length: 0 }` is an empty one', async (t) => {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.test.ts'),
  )
  t.ok(files.length > 300)
  for (const file of files)
    t.strictSame(emptyPatternsIn(readFileSync(`test/${file}`, 'utf8')), [], `test/${file}`)
})

t.test('an empty array is found', async (t) => {
  t.strictSame(emptyPatternsIn('t.match(a, b)\nt.match(answer, { rows: [] })\nt.same(rows, [])'), [2])
})
