import { closest, distance } from 'fastest-levenshtein'
import type { Config } from './config.js'
import { ConfigError } from './config-error.js'
import type { Setting } from './setting.js'
import { settings } from './settings.js'

export interface LoadedConfig {
  readonly config: Config
  /** One line each, about what was found and means nothing to us. */
  readonly warnings: readonly string[]
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Reads the environment. An empty variable counts as unset. Throws ConfigError. */
export function loadConfig(environment: Environment): LoadedConfig {
  const values: Record<string, unknown> = {}
  for (const [name, one] of Object.entries<Setting<unknown>>(settings)) {
    const text = environment[one.variable]
    if (text === undefined || text === '') values[name] = one.like ? values[one.like] : one.fallback
    else values[name] = parsed(one, text)
  }
  return { config: Object.freeze(values) as Config, warnings: unknownSettings(environment) }
}

function parsed<T>({ variable, parse }: Setting<T>, text: string): T {
  try {
    return parse(text)
  } catch (error) {
    throw new ConfigError(`${variable}: ${error instanceof Error ? error.message : error}`)
  }
}

function unknownSettings(environment: Environment): string[] {
  const known = Object.values(settings).map(({ variable }) => variable)
  return Object.keys(environment)
    .filter((name) => name.startsWith('CACHE_') && !known.includes(name))
    .map((name) => {
      const nearest = closest(name, known)
      const near = distance(name, nearest) <= 4
      return `${name} is not a setting and has no effect${near ? `; did you mean ${nearest}?` : ''}`
    })
}
