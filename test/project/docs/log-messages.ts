import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

export interface LogMessage {
  readonly level: string
  readonly text: string
  readonly file: string
}

const levels = ['info', 'warn', 'error', 'fatal']

/** Returns every message, spelt out in the code of this folder, that is logged at level info or above. */
export function logMessages(folder: string): readonly LogMessage[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => messagesIn(join(folder, name)))
}

function messagesIn(file: string): readonly LogMessage[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)
  const found: LogMessage[] = []
  const visit = (node: ts.Node) => {
    const level = levelOf(node)
    const text = level === undefined ? undefined : textOf(node)
    if (level !== undefined && text !== undefined) found.push({ level, text, file })
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** The level of `log.warn(...)`, and of a warning that is logged at most once a minute. */
function levelOf(node: ts.Node): string | undefined {
  if (ts.isNewExpression(node)) return node.expression.getText() === 'RareWarning' ? 'warn' : undefined
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined
  const { expression, name } = node.expression
  return /(^|[.#])log$/.test(expression.getText()) && levels.includes(name.text) ? name.text : undefined
}

/** The last argument, or the member `message` of it; undefined if it is not spelt out there. */
function textOf(node: ts.Node): string | undefined {
  const last = (node as ts.CallExpression | ts.NewExpression).arguments?.at(-1)
  if (last === undefined) return undefined
  if (!ts.isObjectLiteralExpression(last)) return literalIn(last)
  const message = last.properties.find((property) => property.name?.getText() === 'message')
  return message && ts.isPropertyAssignment(message) ? literalIn(message.initializer) : undefined
}

/** A template has `...` in place of each expression. */
function literalIn(node: ts.Expression): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text
  if (!ts.isTemplateExpression(node)) return undefined
  return node.head.text + node.templateSpans.map(({ literal }) => `...${literal.text}`).join('')
}
