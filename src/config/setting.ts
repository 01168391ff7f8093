/** A setting: its name, its default, and how to parse its text. */
export interface Setting<T> {
  /** Name in the environment and in the file. The flag is derived from it. */
  readonly variable: string
  readonly fallback: T
  /** Parses the text. Throws an Error whose message says what is expected, without naming the variable. */
  readonly parse: (text: string) => T
  readonly unit?: Unit
  /** Description in one line. */
  readonly about: string
  /** Name of another setting, defined before this one, whose value is the default instead of `fallback`. */
  readonly like?: string
  /** Returns the value as a text that `parse` accepts. Needed if String does not do that. */
  show?(value: T): string
  /** Returns the text without its secrets. */
  readonly redact?: (text: string) => string
  /** Returns true if the text, which `parse` accepts, contains a secret and so must not be given as a flag. */
  readonly isSecret?: (text: string) => boolean
  /** True if a new value takes effect when the settings are reloaded. */
  readonly reloads?: boolean
}

export type Unit = 'ms' | 's' | 'bytes' | 'entries' | 'connections'

/** Type of the value in a file. */
export type SettingType = 'number' | 'boolean' | 'string'

/** Returns its argument; only the type of the value is inferred. */
export function setting<const T>(one: Setting<T>): Setting<T> {
  return one
}

export function settingType({ fallback, unit }: Setting<unknown>): SettingType {
  if (unit !== undefined || typeof fallback === 'number') return 'number'
  return typeof fallback === 'boolean' ? 'boolean' : 'string'
}
