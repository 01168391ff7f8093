import { flagName } from './flag-name.js'
import type { LoadedConfig, Source } from './load.js'
import { type MemoryBudget, memoryBudget } from './memory-budget.js'
import type { Setting, Unit } from './setting.js'
import { settings } from './settings/settings.js'

/** A setting as it may be shown to people and scripts, without secrets. */
export interface DescribedSetting {
  readonly variable: string
  readonly flag: string
  readonly value: ShownValue
  /** The default value, or the name of another setting whose value is the default. */
  readonly default: ShownValue
  readonly unit: Unit | null
  readonly source: Source
  readonly reloads: boolean
  readonly about: string
  /** Bytes of each part, if the value is divided. */
  readonly parts?: MemoryBudget
}

/** A value as it can be written in a file; null if none is set. */
export type ShownValue = string | number | boolean | null

export function describeSettings({
  config,
  sources,
}: Pick<LoadedConfig, 'config' | 'sources'>): readonly DescribedSetting[] {
  return Object.entries<Setting<unknown>>(settings).map(([key, one]) => {
    const name = key as keyof typeof settings
    const { variable, unit = null, reloads = false, about } = one
    return {
      variable,
      flag: `--${flagName(variable)}`,
      value: shownValue(one, config[name]),
      default: one.like ? settings[one.like as typeof name].variable : shownValue(one, one.fallback),
      unit,
      source: sources[name],
      reloads,
      about,
      ...(name === 'memoryBytes' &&
        config.memoryBytes !== undefined && { parts: memoryBudget(config.memoryBytes) }),
    }
  })
}

export function shownValue({ show, redact }: Setting<unknown>, value: unknown): ShownValue {
  if (value === undefined) return null
  if (typeof value === 'number' || typeof value === 'boolean') return value
  const text = show ? show(value) : String(value)
  return text === '' ? null : redact ? redact(text) : text
}

/** Returns the value as it can be written in the environment. */
export function shownText(value: ShownValue): string {
  if (value === null) return 'none'
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return String(value)
}
