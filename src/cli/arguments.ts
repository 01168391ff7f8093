import { parseArgs } from 'node:util'
import { flagName } from '../config/flag-name.js'
import { settings } from '../config/settings/settings.js'
import { errorMessage } from '../errors/error-message.js'
import type { Command, CommandInput } from './command.js'
import { didYouMean } from './nearest-name.js'
import { UsageError } from './usage-error.js'

export type Arguments = Pick<CommandInput, 'flags' | 'values' | 'positionals'>

type Accepting = Pick<Command, 'options' | 'settings' | 'positionals'>

/** Parses the arguments of a command. Throws UsageError for arguments that the command does not accept. */
export function parseArguments(name: string, command: Accepting, args: readonly string[]): Arguments {
  const options = optionsOf(command)
  const unknown = namesIn(command, args).find((option) => !Object.hasOwn(options, option))
  if (unknown !== undefined) {
    const dashes = unknown.length === 1 ? '-' : '--'
    const near = didYouMean(
      `--${unknown}`,
      Object.keys(options).map((option) => `--${option}`),
    )
    throw new UsageError(
      `${name}: there is no option ${dashes}${unknown}${near || `; see caching-layer ${name} --help`}`,
    )
  }
  const allowPositionals = command.positionals !== undefined
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals })
    const given = Object.entries(values)
    return {
      flags: new Set(given.filter(([, value]) => value === true).map(([option]) => option)),
      values: new Map(given.filter((option): option is [string, string] => typeof option[1] === 'string')),
      positionals,
    }
  } catch (error) {
    throw new UsageError(`${name}: ${errorMessage(error)}`)
  }
}

/** Returns true if the arguments ask for the help of the command. */
export function asksForHelp(command: Accepting, args: readonly string[]): boolean {
  return namesIn(command, args).some((option) => option === 'help' || option === 'h')
}

type ParsedOptions = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>

function optionsOf({ options, settings }: Accepting): ParsedOptions {
  return settings ? { ...settingOptions, ...options } : options
}

const settingOptions: ParsedOptions = Object.fromEntries(
  Object.values(settings).map(({ variable }) => [flagName(variable), { type: 'string' }]),
)

/** Returns the names of all options among the arguments, known or not, without their dashes. */
function namesIn(command: Accepting, args: readonly string[]): string[] {
  const { tokens } = parseArgs({ args: [...args], options: optionsOf(command), strict: false, tokens: true })
  return tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []))
}
