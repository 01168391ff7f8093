import { errorMessage } from '../errors/error-message.js'
import { didYouMean } from '../text/did-you-mean.js'
import type { Config } from './config.js'
import { ConfigError } from './config-error.js'
import { readConfigFile } from './config-file.js'
import { crossChecks } from './cross-checks.js'
import { databaseSources, unencryptedWarning } from './database-sources.js'
import type { Environment } from './environment.js'
import { flagName } from './flag-name.js'
import { defaultMaxConnections, defaultMemoryBytes } from './memory-budget.js'
import { secretInFlag } from './secret-in-flag.js'
import { withoutServiceLinks } from './service-links.js'
import { type Setting, settingType } from './setting.js'
import { settings } from './settings/settings.js'

/** Source of a value. */
export type Source = 'default' | 'file' | 'environment' | 'flag'

export interface LoadedConfig {
  readonly config: Config
  readonly sources: Readonly<Record<keyof Config, Source>>
  /** One line for each unknown setting, and for each unencrypted connection. */
  readonly warnings: readonly string[]
}

export interface LoadOptions {
  /** Flags of the command line, by name without `--`. Those that are not settings belong to the command. */
  readonly flags?: ReadonlyMap<string, string>
  /** Defaults of the command, which take precedence over those of the settings. */
  readonly defaults?: Environment
}

/**
 * Returns every setting from the first source that has it: its flag, the environment, the file that CACHE_CONFIG_FILE
 * names, its default. An empty text counts as unset. Throws one ConfigError for all faults.
 */
export function loadConfig(variables: Environment, options: LoadOptions = {}): LoadedConfig {
  const environment = withoutServiceLinks(variables)
  const { flags = new Map<string, string>(), defaults = {} } = options
  const faults: string[] = []
  const attempt = <T>(name: string, read: () => T): T | undefined => {
    try {
      return read()
    } catch (error) {
      faults.push(`${name}: ${errorMessage(error)}`)
      return undefined
    }
  }

  const { variable: pathVariable } = settings.configFile
  const path = flags.get(flagName(pathVariable)) || environment[pathVariable]
  const file: ReadonlyMap<string, unknown> =
    (path && attempt(`${pathVariable} ${path}`, () => readConfigFile(path))) || new Map()
  if (file.has(pathVariable))
    faults.push(`${pathVariable} in ${path}: a configuration file cannot name another one`)

  const values: Record<string, unknown> = {}
  const sources: Record<string, Source> = {}
  for (const [name, one] of Object.entries<Setting<unknown>>(settings)) {
    const { variable } = one
    const layers = [
      ['flag', `--${flagName(variable)}`, () => flags.get(flagName(variable))],
      ['environment', variable, () => environment[variable]],
      ['file', `${variable} in ${path}`, () => textInFile(one, file.get(variable))],
      ['default', variable, () => defaults[variable]],
    ] as const
    values[name] = one.fallback
    sources[name] = 'default'
    for (const [source, label, read] of layers) {
      const isSet = attempt(label, () => {
        const text = read()
        if (text === undefined || text === '') return false
        values[name] = one.parse(text)
        if (source === 'flag' && one.isSecret?.(text)) throw new Error(secretInFlag(variable))
        sources[name] = source
        return true
      })
      if (isSet) break
    }
  }
  const isGiven = (name: keyof Config) => sources[name] !== 'default'
  const onFault = (fault: string) => faults.push(fault)
  if (faults.length === 0)
    Object.assign(values, databaseSources({ config: values as Config, isGiven, onFault }))
  const memoryBytes = (values.memoryBytes as number | undefined) ?? defaultMemoryBytes()
  values.memoryBytes = memoryBytes
  values.maxConnections ??= defaultMaxConnections(memoryBytes)
  const config = Object.freeze(values) as Config
  faults.push(...crossChecks(config))
  if (faults.length > 0) throw new ConfigError(...faults)
  const warnings = [
    ...unknownSettings(Object.keys(environment).filter((name) => name.startsWith('CACHE_'))),
    ...unknownSettings([...file.keys()], ` in ${path}`),
    ...[unencryptedWarning(config, environment) ?? []].flat(),
  ]
  return { config, sources: sources as LoadedConfig['sources'], warnings }
}

/** Returns the value as it would be written in the environment. */
function textInFile(one: Setting<unknown>, found: unknown): string | undefined {
  if (found === undefined || found === null || found === '') return undefined
  const wanted = settingType(one)
  if (typeof found === 'boolean' && wanted === 'boolean') return found ? 'on' : 'off'
  const type = Array.isArray(found) ? 'a list' : (kinds[typeof found] ?? 'a map')
  if (typeof found !== wanted && !(wanted === 'boolean' && typeof found === 'string'))
    throw new Error(`must be ${kinds[wanted]}, not ${type}`)
  return String(found)
}

const kinds: Readonly<Record<string, string>> = {
  number: 'a number',
  boolean: 'true or false',
  string: 'a string',
}

function unknownSettings(names: readonly string[], where = ''): string[] {
  const known = Object.values(settings).map(({ variable }) => variable)
  return names
    .filter((name) => !known.some((variable) => variable === name))
    .map((name) => `${name}${where} is not a setting and has no effect${didYouMean(name, known)}`)
}
