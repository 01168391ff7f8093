import { shownText, shownValue } from '../config/describe-settings.js'
import { flagName } from '../config/flag-name.js'
import type { Setting } from '../config/setting.js'
import { settings } from '../config/settings/settings.js'
import type { Command, CommandOption } from './command.js'
import { commands, type ListedCommand } from './commands.js'

const width = 80

/** Row of a table: a name, and what it stands for. */
type Row = readonly [name: string, about: string]

/** Returns the help of the program: all commands. */
export function programHelp(): string {
  const rows = Object.entries<ListedCommand>(commands).map(([name, { summary }]): Row => [name, summary])
  return `usage: caching-layer COMMAND [OPTION...]

${table(rows)}

caching-layer COMMAND --help lists the options of a command, and
caching-layer --version prints the version.
Settings come from flags, the environment and a file: caching-layer config lists them.
`
}

/** Returns the help of one command, from the tables of its options and of the settings. */
export function commandHelp(name: string, { summary }: ListedCommand, command: Command): string {
  const options = [...Object.entries(command.options), helpOption].map(
    ([option, one]): Row => [written(option, one), one.about],
  )
  const positionals = command.positionals === undefined ? '' : ` ${command.positionals}`
  return `usage: caching-layer ${name} [OPTION...]${positionals}

${summary.charAt(0).toUpperCase()}${summary.slice(1)}.

${table(options)}
${command.settings ? settingsHelp(command.settings, command.defaults) : ''}`
}

const helpOption: readonly [string, CommandOption] = ['help', { type: 'boolean', about: 'print this help' }]

function written(name: string, option: CommandOption): string {
  if (option.type === 'boolean') return `--${name}`
  return `--${name}=${option.value}${option.isList ? '...' : ''}`
}

function settingsHelp(kind: NonNullable<Command['settings']>, defaults: Command['defaults'] = {}): string {
  if (kind === 'accepted')
    return '\nEvery setting is an option as well, such as --port for PORT: see caching-layer config --help.\n'
  const rows = Object.values<Setting<unknown>>(settings).map((one): Row => {
    const usual = one.like
      ? settings[one.like as keyof typeof settings].variable
      : shownText(shownValue(one, one.fallback))
    return [`--${flagName(one.variable)}=${defaults[one.variable] ?? usual}`, one.about.replaceAll('`', '')]
  })
  const heading =
    'Settings, each with its default (none: not set). They may also be variables, or be in a file:'
  return `\n${heading}\n\n${list(rows)}\n`
}

/** Returns the rows in two columns. */
function table(rows: readonly Row[]): string {
  const column = Math.max(...rows.map(([name]) => name.length)) + 4
  return rows
    .map(
      ([name, about]) =>
        `${`  ${name}`.padEnd(column)}${wrapped(about, width - column).join(`\n${' '.repeat(column)}`)}`,
    )
    .join('\n')
}

/** Returns the rows with each text below its name. */
function list(rows: readonly Row[]): string {
  return rows
    .map(([name, about]) => `  ${name}\n      ${wrapped(about, width - 6).join('\n      ')}`)
    .join('\n')
}

/** Divides a text into lines of up to so many characters. */
function wrapped(text: string, length: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`
    if (lines.length > 0 && longer.length <= length) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}
