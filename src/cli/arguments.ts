import { parseArgs } from 'node:util'
import { flagName } from '../config/flag-name.js'
import { settings } from '../config/settings/settings.js'
import { errorMessage } from '../errors/error-message.js'
import type { Command, CommandInput } from './command.js'
import { UsageError } from './usage-error.js'

export type Arguments = Pick<CommandInput, 'flags' | 'values' | 'positionals'>

/** Parses the arguments of a command. Throws UsageError for arguments that the command does not accept. */
export function parseArguments(
  name: string,
  command: Pick<Command, 'options' | 'settings' | 'positionals'>,
  args: readonly string[],
): Arguments {
  const options = command.settings ? { ...settingOptions, ...command.options } : command.options
  const allowPositionals = command.positionals ?? false
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

const settingOptions: Command['options'] = Object.fromEntries(
  Object.values(settings).map(({ variable }) => [flagName(variable), { type: 'string' }]),
)
