import { parseArgs } from 'node:util'
import { flagName } from '../config/flag-name.js'
import { isUrlWithPassword, secretInFlag, variableOfSecret } from '../config/secret-in-flag.js'
import { settings } from '../config/settings/settings.js'
import { errorMessage } from '../errors/error-message.js'
import { nearestOf } from '../text/did-you-mean.js'
import type { Command, CommandInput } from './command.js'
import { UsageError } from './usage-error.js'

export type Arguments = Pick<CommandInput, 'flags' | 'values' | 'lists' | 'positionals'>

type Accepting = Pick<Command, 'options' | 'settings' | 'positionals'>

/** Parses the arguments of a command. Throws UsageError for arguments that the command does not accept. */
export function parseArguments(name: string, command: Accepting, args: readonly string[]): Arguments {
  const options = optionsOf(command)
  const unknown = optionsIn(command, args).find((option) => !Object.hasOwn(options, option.name))
  if (unknown !== undefined) throw new UsageError(`${name}: ${refusal(name, unknown, Object.keys(options))}`)
  const repeated = repeatedOption(command, args)
  if (repeated !== undefined) throw new UsageError(`${name}: --${repeated}: given more than once`)
  const empty = optionsIn(command, args).find(
    (option) => option.value === '' && Object.hasOwn(command.options, option.name),
  )
  if (empty !== undefined) throw new UsageError(`${name}: --${empty.name} must not be empty`)
  const allowPositionals = command.positionals !== undefined
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals })
    const given = Object.entries(values)
    return {
      flags: new Set(given.filter(([, value]) => value === true).map(([option]) => option)),
      values: new Map(given.filter((option): option is [string, string] => typeof option[1] === 'string')),
      lists: listsIn(command, args),
      positionals,
    }
  } catch (error) {
    // The message would repeat the argument.
    const isSecret = args.some(isUrlWithPassword)
    throw new UsageError(
      `${name}: ${isSecret ? `an argument ${secretInFlag('DATABASE_URL')}` : errorMessage(error)}`,
    )
  }
}

/** Returns an option that is given twice although it must not be. */
function repeatedOption(command: Accepting, args: readonly string[]): string | undefined {
  const names = optionsIn(command, args).map(({ name }) => name)
  return names.find((name, index) => command.options[name]?.isOnce && names.indexOf(name) < index)
}

function listsIn(command: Accepting, args: readonly string[]): Arguments['lists'] {
  const lists = new Map<string, string[]>()
  for (const { name, value } of optionsIn(command, args)) {
    const option = command.options[name]
    if (option?.type !== 'string' || !option.isList || value === undefined) continue
    lists.set(name, [...(lists.get(name) ?? []), value])
  }
  return lists
}

interface GivenOption {
  /** Name without its dashes. */
  readonly name: string
  readonly value: string | undefined
}

/** Returns the reason why an option is refused that the command does not have. */
function refusal(command: string, { name, value }: GivenOption, known: readonly string[]): string {
  const option = `${name.length === 1 ? '-' : '--'}${name}`
  const variable = variableOfSecret(name, value)
  if (variable !== undefined) return `${option}: ${secretInFlag(variable)}`
  const near = nearestOf(flagName(name), [...known, 'help', 'version'])
  if (near === undefined) return `there is no option ${option}; see caching-layer ${command} --help`
  // That is an option of the program, and of no command.
  return `there is no option ${option}; did you mean ${near === 'version' ? 'caching-layer ' : ''}--${near}?`
}

/** Returns true if the arguments ask for the help of the command. */
export function asksForHelp(command: Accepting, args: readonly string[]): boolean {
  return optionsIn(command, args).some(({ name }) => name === 'help' || name === 'h')
}

type ParsedOptions = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>

function optionsOf({ options, settings }: Accepting): ParsedOptions {
  return settings ? { ...settingOptions, ...options } : options
}

const settingOptions: ParsedOptions = Object.fromEntries(
  Object.values(settings).map(({ variable }) => [flagName(variable), { type: 'string' }]),
)

/** Returns all options among the arguments, known or not. */
function optionsIn(command: Accepting, args: readonly string[]): GivenOption[] {
  const { tokens } = parseArgs({ args: [...args], options: optionsOf(command), strict: false, tokens: true })
  return tokens.flatMap((token) =>
    token.kind === 'option' ? [{ name: token.name, value: token.value }] : [],
  )
}
