import { inspect } from 'node:util'

const levels: Readonly<Record<number, readonly [name: string, color: string]>> = {
  10: ['TRACE', '\x1b[2m'],
  20: ['DEBUG', '\x1b[2m'],
  30: ['INFO', '\x1b[32m'],
  40: ['WARN', '\x1b[33m'],
  50: ['ERROR', '\x1b[31m'],
  60: ['FATAL', '\x1b[31m'],
}
const plain = '\x1b[0m'
const dim = '\x1b[2m'

export interface TerminalLineOptions {
  readonly hasColors: boolean
}

/**
 * Returns a log line in a form for people: time, level, message and fields. Text that is not a log line is returned
 * unchanged.
 */
export function terminalLine(json: string, { hasColors }: TerminalLineOptions): string {
  let parsed: Record<string, unknown>
  try {
    parsed = JSON.parse(json) as Record<string, unknown>
  } catch {
    return json
  }
  const { level, time, msg, service, pid, hostname, err, ...fields } = parsed
  const [name, color] = levels[level as number] ?? ['?', '']
  const paint = (text: string, code: string) => (hasColors && code !== '' ? `${code}${text}${plain}` : text)
  const clock = new Date(time as number).toTimeString().slice(0, 8)
  const shown = Object.entries(fields).map(([field, value]) => `${field}=${valueText(value)}`)
  const words = [paint(clock, dim), paint(name.padEnd(5), color), printable(String(msg))]
  if (shown.length > 0) words.push(paint(shown.join(' '), dim))
  const stack =
    (err as { stack?: string } | undefined)?.stack ?? (err === undefined ? undefined : inspect(err))
  return `${words.join(' ')}\n${stack === undefined ? '' : `${stack.split('\n').map(printable).join('\n')}\n`}`
}

function valueText(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value)
}

/**
 * Returns the text without control characters, because text from elsewhere must not move the cursor. JSON.stringify
 * does the same for fields, except for C1 controls.
 */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression has to match them
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
}
