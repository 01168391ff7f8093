import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** A line that the program can log. */
export interface LogCall {
  /** Message with `…` in place of inserted values. */
  readonly message: string
  readonly level: string
  /** Names in alphabetical order. */
  readonly fields: readonly string[]
}

const levels = new Set(['debug', 'info', 'warn', 'error', 'fatal'])
const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Returns every call of a log in src. Those of one message and level count as one, with the fields of all. */
export function logCalls(): readonly LogCall[] {
  const config = ts.getParsedCommandLineOfConfigFile(
    `${root}tsconfig.json`,
    {},
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: () => undefined,
    },
  )
  const program = ts.createProgram(config?.fileNames ?? [], config?.options ?? {})
  const checker = program.getTypeChecker()
  const found = new Map<string, Set<string>>()
  const add = (level: string, message: ts.Expression, fields: readonly string[]) => {
    for (const text of textsOf(message, checker)) {
      const key = `${level} ${text}`
      found.set(key, new Set([...(found.get(key) ?? []), ...fields]))
    }
  }
  let rareWarnings = new Map<string, ts.Expression>()
  const addRareWarning = ({ name }: ts.VariableDeclaration, made: ts.NewExpression) => {
    const [options] = made.arguments ?? []
    if (made.expression.getText() !== 'RareWarning' || !options || !ts.isObjectLiteralExpression(options))
      return
    const message = memberOf(options, 'message')
    if (message) rareWarnings.set(name.getText(), message)
  }
  // A line that is not made by the logger.
  const addOwnLine = (line: ts.ObjectLiteralExpression) => {
    const message = memberOf(line, 'msg')
    const fields = fieldsOf(line, checker).filter(
      (name) => !['level', 'time', 'service', 'msg'].includes(name),
    )
    if (message && memberOf(line, 'level')?.getText() === '40') add('warn', message, fields)
  }
  for (const file of program.getSourceFiles()) {
    rareWarnings = new Map()
    if (!file.fileName.startsWith(`${root}src/`)) continue
    const visit = (node: ts.Node): void => {
      if (ts.isVariableDeclaration(node) && node.initializer && ts.isNewExpression(node.initializer))
        addRareWarning(node, node.initializer)
      if (ts.isObjectLiteralExpression(node)) addOwnLine(node)
      if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
        const { name, expression } = node.expression
        const [first, second] = node.arguments
        const rare = name.text === 'add' ? rareWarnings.get(expression.getText()) : undefined
        if (rare && first) add('warn', rare, ['count', ...fieldsOf(first, checker)])
        // The message of a rare warning is given when it is made.
        else if (second?.getText() === 'this.#message') return
        else if (levels.has(name.text) && /\blog$/i.test(expression.getText()) && first !== undefined)
          add(name.text, second ?? first, second ? fieldsOf(first, checker) : [])
      }
      ts.forEachChild(node, visit)
    }
    visit(file)
  }
  return [...found]
    .map(([key, fields]): LogCall => {
      const [level = ''] = key.split(' ', 1)
      return { level, message: key.slice(level.length + 1), fields: [...fields].sort() }
    })
    .sort((one, other) => (one.message < other.message ? -1 : 1))
}

function memberOf({ properties }: ts.ObjectLiteralExpression, name: string): ts.Expression | undefined {
  return properties.filter(ts.isPropertyAssignment).find((one) => one.name.getText() === name)?.initializer
}

function fieldsOf(fields: ts.Expression, checker: ts.TypeChecker): readonly string[] {
  const type = checker.getTypeAtLocation(fields)
  return (type.isUnion() ? type.types : [type]).flatMap((one) => one.getProperties().map(({ name }) => name))
}

/** The texts that a message can be; `…` for what is not known here. */
function textsOf(message: ts.Expression, checker: ts.TypeChecker): readonly string[] {
  if (ts.isTemplateExpression(message))
    return [message.head.text + message.templateSpans.map(({ literal }) => `…${literal.text}`).join('')]
  const type = checker.getTypeAtLocation(message)
  const types = type.isUnion() ? type.types : [type]
  return types.map((one) => (one.isStringLiteral() ? one.value : '…'))
}
