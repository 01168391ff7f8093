import { parseArgs } from 'node:util'
import type { Command, CommandInput } from './command.js'
import { UsageError } from './usage-error.js'

export type Arguments = Pick<CommandInput, 'flags' | 'values' | 'positionals'>

/** Throws UsageError for what the command does not take. */
export function parseArguments(
  name: string,
  { options, positionals: allowPositionals = false }: Pick<Command, 'options' | 'positionals'>,
  args: readonly string[],
): Arguments {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals })
    const given = Object.entries(values)
    return {
      flags: new Set(given.filter(([, value]) => value === true).map(([option]) => option)),
      values: new Map(given.filter((option): option is [string, string] => typeof option[1] === 'string')),
      positionals,
    }
  } catch (error) {
    throw new UsageError(`${name}: ${error instanceof Error ? error.message : error}`)
  }
}
