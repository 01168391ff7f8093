const words = new Set([
  'by',
  'without',
  'on',
  'ignoring',
  'and',
  'or',
  'unless',
  'offset',
  'bool',
  'inf',
  'nan',
])

/** The names of the metrics that a PromQL expression selects. */
export function metricsIn(expression: string): string[] {
  const bare = expression
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
    .replace(/\boffset\s+\w+/g, ' ')
  const names = bare.match(/[A-Za-z_:][\w:]*(?!\w)(?!\s*\()/g) ?? []
  return [...new Set(names.filter((name) => !words.has(name.toLowerCase())))]
}
