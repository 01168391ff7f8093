import ts from 'typescript'

const { SyntaxKind } = ts

const swapped = new Map([
  [SyntaxKind.LessThanToken, '<='],
  [SyntaxKind.LessThanEqualsToken, '<'],
  [SyntaxKind.GreaterThanToken, '>='],
  [SyntaxKind.GreaterThanEqualsToken, '>'],
  [SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [SyntaxKind.ExclamationEqualsEqualsToken, '==='],
  [SyntaxKind.PlusToken, '-'],
  [SyntaxKind.MinusToken, '+'],
  [SyntaxKind.AsteriskToken, '/'],
  [SyntaxKind.SlashToken, '*'],
])
const eitherSide = new Set([
  SyntaxKind.AmpersandAmpersandToken,
  SyntaxKind.BarBarToken,
  SyntaxKind.QuestionQuestionToken,
])

/**
 * Returns small changes to a source, each of which may or may not compile.
 *
 * @param {string} file
 * @param {string} text
 * @returns {{ file: string, line: number, change: string, text: string }[]} `line` counts from 1; `text` is that of the
 * file
 *   with the change
 */
export function mutationsOf(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const found = []
  const replace = (node, replacement) => {
    const [start, end] = [node.getStart(), node.getEnd()]
    found.push({
      file,
      line: source.getLineAndCharacterOfPosition(start).line + 1,
      change: `${oneLine(node.getText())}  ->  ${oneLine(replacement) || '(nothing)'}`,
      text: text.slice(0, start) + replacement + text.slice(end),
    })
  }
  const visit = (node) => {
    for (const replacement of replacementsOf(node)) replace(node, replacement)
    if (!ts.isTypeNode(node) && !ts.isImportDeclaration(node)) ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** Returns the texts that may take the place of a node. */
function replacementsOf(node) {
  if (ts.isBinaryExpression(node)) {
    const [left, operator, right] = [node.left.getText(), node.operatorToken.kind, node.right.getText()]
    if (eitherSide.has(operator)) return [left, right]
    return swapped.has(operator) ? [`${left} ${swapped.get(operator)} ${right}`] : []
  }
  if (ts.isConditionalExpression(node)) return [node.whenTrue.getText(), node.whenFalse.getText()]
  if (isNegation(node)) return [node.operand.getText()]
  if (isCondition(node)) return [`!(${node.getText()})`]
  if (ts.isNumericLiteral(node)) return numbersFor(node.getText())
  if (node.kind === SyntaxKind.TrueKeyword) return ['false']
  if (node.kind === SyntaxKind.FalseKeyword) return ['true']
  if (ts.isExpressionStatement(node) || (ts.isIfStatement(node) && !node.elseStatement)) return ['']
  if (ts.isBlock(node) && ts.isFunctionLike(node.parent) && node.statements.length > 0)
    return [`{ return;\n${node.getText().slice(1)}`]
  if (ts.isReturnStatement(node) && node.expression && node.expression.getText() !== 'undefined')
    return ['return undefined']
  if (ts.isPropertyAssignment(node) || ts.isShorthandPropertyAssignment(node) || ts.isSpreadAssignment(node))
    return ['...{}']
  return []
}

/** Returns other numbers. One more than many makes no difference in most places: a large number is doubled. */
function numbersFor(text) {
  return [text === '0' ? '1' : '0', Number(text.replaceAll('_', '')) > 16 ? `${text} * 2` : `${text} + 1`]
}

function isNegation(node) {
  return ts.isPrefixUnaryExpression(node) && node.operator === SyntaxKind.ExclamationToken
}

/** Returns true for the condition of a statement, unless it is an operator, which is changed anyway. */
function isCondition(node) {
  const { parent } = node
  return parent !== undefined && (ts.isIfStatement(parent) || ts.isWhileStatement(parent))
    ? parent.expression === node
    : false
}

function oneLine(text) {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 60 ? `${line.slice(0, 57)}...` : line
}
